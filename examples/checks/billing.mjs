export default {
  name: 'billing',
  priority: 15,
  appliesTo: ['launch.mail'],
  async execute(_, signal) {
    const { ok } = await fetch('https://billing.example.org/health', { signal })
    return ok
      ? { status: 'pass', message: 'billing answers' }
      : { status: 'fail', message: 'billing is down', remediation: 'Call the billing team.' }
  },
}

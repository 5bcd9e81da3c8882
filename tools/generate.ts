/** Writes every generated file of the tree. */
import { writeFile } from 'node:fs/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { PAGE, pageText } from '../bench/record.ts'
import { settingsPage } from '../src/config/describe.ts'
import { checklistPage } from './checklist.ts'
import { builtInFile, builtInList } from './checks.ts'
import { clientCodes, conformanceCases } from './client.ts'
import { generateValidation, validationFile } from './config/generate.ts'
import { files, generate } from './contract/generate.ts'

/** Each generated file and the text that it must have. */
export async function generatedFiles(): Promise<readonly { readonly file: URL; readonly text: string }[]> {
  const contract = await generate()
  return [
    { file: files.types, text: contract.types },
    { file: files.rules, text: contract.rules },
    { file: files.asyncApi, text: contract.asyncApi },
    { file: new URL('../../client/src/live.gen.ts', import.meta.url), text: contract.types },
    { file: new URL('../../client/src/codes.gen.ts', import.meta.url), text: clientCodes() },
    { file: new URL('../../client/src/conformance/cases.gen.ts', import.meta.url), text: conformanceCases() },
    { file: builtInFile, text: builtInList() },
    { file: validationFile, text: generateValidation() },
    { file: new URL('../../docs/reference/settings.md', import.meta.url), text: settingsPage() },
    { file: new URL('../../docs/reference/checklist.md', import.meta.url), text: checklistPage() },
    { file: PAGE, text: pageText() },
  ]
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const { file, text } of await generatedFiles()) {
    await writeFile(file, text)
    process.stdout.write(`${fileURLToPath(file)}\n`)
  }
}

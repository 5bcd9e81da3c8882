import calculateSlot from 'cluster-key-slot'

/** The slot of a key or a sharded channel (Redis Cluster specification, key distribution model: CRC16 of the key or of its hash tag). */
export const slotOf = (key: string): number => calculateSlot(key)

/** How many slots a cluster has. */
export const SLOTS = 16384

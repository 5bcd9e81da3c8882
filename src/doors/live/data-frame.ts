import type { DataRequest } from '../../contract/live/types.gen.ts'
import { frameOf, shown } from './frames.ts'
import { pageOf, type StatusCache } from './status.ts'

/** The answer to `request_data`. Never rejects. */
export async function dataFrame(status: StatusCache, request: DataRequest): Promise<Buffer> {
  const { data_type: dataType, params, correlation_id } = request
  const data_type = shown(dataType)
  const failed = (error: string) => frameOf({ type: 'data_error', data_type, error }, correlation_id)
  try {
    const data = await status.of(dataType)
    if (data === undefined) return failed(`Unknown data type: ${data_type}`)
    return frameOf({ type: 'data_response', data_type, data: { ...pageOf(data, params) } }, correlation_id)
  } catch {
    return failed('Temporarily unavailable')
  }
}

/** What an endpoint answers. */
export interface ApiResponse {
  readonly status: string
  readonly type: string
  readonly body: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
}

export const json = (status: string, body: object, headers?: ApiResponse['headers']): ApiResponse => ({
  status,
  type: 'application/json',
  body: JSON.stringify(body),
  ...(headers && { headers }),
})

/** What the tests read of a board's `GET /model/info`. */
export interface ModelInfo {
  name: string;
  version: string;
  digest: string;
  framesRun: number;
}

/** Asks the board at `base` (`http://127.0.0.1:8081`) for its running model. */
export async function modelInfo(base: string): Promise<ModelInfo> {
  const response = await fetch(`${base}/model/info`, { signal: AbortSignal.timeout(5000) });
  return (await response.json()) as ModelInfo;
}

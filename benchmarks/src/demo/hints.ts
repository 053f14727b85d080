import { FleetRequestError } from '../clients/fleet-client.js';
import { SwapRefusedError } from '../observe-swap.js';
import { CameraError } from '../rig/board.js';
import { CommandError } from '../rig/command.js';
import { ProcessDiedError } from '../rig/managed-process.js';
import { MissingPieceError } from '../rig/repository.js';
import { WaitTimeoutError } from '../rig/wait.js';
import { GateRefusedError } from './certify.js';

/** What to do about a story that ended early. `logs`: the last lines of the processes' logs. */
export function hintFor(error: unknown, logs: string): string {
  if (/EADDRINUSE/.test(logs)) return 'a port is taken: leave out --http-port and --server-port, or choose others';
  if (/ffmpeg.*ENOENT|ENOENT.*ffmpeg|spawn ffprobe ENOENT/.test(`${logs} ${String(error)}`)) {
    return 'ffmpeg is missing: apt-get install ffmpeg';
  }
  if (error instanceof MissingPieceError) return 'nothing was started';
  if (error instanceof CameraError)
    return 'check --source with ffprobe; RTSP needs user and password in the URL if the camera has them';
  if (error instanceof SwapRefusedError) return 'the board keeps the model it had; the code says what it did not like';
  if (error instanceof GateRefusedError)
    return 'this machine is too slow or too busy for the demo’s gate: nothing reaches a board that did not pass';
  if (error instanceof FleetRequestError) return 'the server refused a request; its log says more';
  if (error instanceof ProcessDiedError) return 'its log above says why';
  if (error instanceof WaitTimeoutError) return 'the machine may be very busy; "--keep" keeps the logs to look at';
  if (error instanceof CommandError) return 'the message above is the command’s own';
  return 'this is a fault of the demo: please report it with the lines above';
}

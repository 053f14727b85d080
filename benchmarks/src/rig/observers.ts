import { LiveClient } from '../clients/live-client.js';
import { MjpegClient } from '../clients/mjpeg-client.js';
import type { MqttObserver } from '../clients/mqtt-observer.js';
import type { Observers } from '../observe-swap.js';
import type { Board } from './board.js';
import type { FleetServer } from './fleet-server.js';
import type { Rig } from './rig.js';

/** Connects a viewer and a WebSocket client to a board that detects; `reports` watches it on the broker already. */
export async function connectObservers(
  rig: Rig,
  server: FleetServer,
  board: Board,
  deviceId: string,
  reports: MqttObserver,
): Promise<Observers> {
  const [viewer, live] = await Promise.all([
    MjpegClient.connect(board.client.streamUrl),
    LiveClient.connect(board.client.liveUrl),
  ]);
  return { fleet: server.client, deviceId, reports, viewer, live, guard: () => rig.assertRunning() };
}

export async function closeObservers(observers: Observers): Promise<void> {
  observers.viewer.close();
  observers.live.close();
  await observers.reports.close();
}

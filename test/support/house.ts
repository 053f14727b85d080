import { packDirectory } from '@vigie/models/package/archive';
import { type Board, enrollBoard, startBoard } from '../../benchmarks/src/rig/board.js';
import { type FleetServer, initialiseServer, startServer } from '../../benchmarks/src/rig/fleet-server.js';
import { freePorts } from '../../benchmarks/src/rig/free-port.js';
import { CLIP, FP32_PACKAGE, INT8_PACKAGE } from '../../benchmarks/src/rig/repository.js';
import { Rig } from '../../benchmarks/src/rig/rig.js';

export interface PublishedRelease {
  name: string;
  version: string;
  digest: string;
}

/**
 * A fleet server and one enrolled board on the bundled clip, as real processes whose ports and folders stay the same
 * when they are killed and started again. The FP32 and the INT8 release are published.
 */
export class House {
  readonly rig = new Rig();
  readonly deviceId = 'board-1';
  server!: FleetServer;
  board!: Board;
  fp32!: PublishedRelease;
  int8!: PublishedRelease;
  #ports: number[] = [];
  #adminToken = '';

  async start(): Promise<void> {
    this.#ports = await freePorts(3);
    const { adminToken, enrollmentToken } = await initialiseServer(this.rig.path('server'));
    this.#adminToken = adminToken;
    await this.startServer();
    await enrollBoard(this.server.httpsUrl, enrollmentToken, this.rig.path('board'), this.deviceId);
    await this.startBoard();
    this.fp32 = await this.server.client.publishRelease((await packDirectory(FP32_PACKAGE)).bytes);
    this.int8 = await this.server.client.publishRelease((await packDirectory(INT8_PACKAGE)).bytes);
  }

  async startServer(): Promise<void> {
    const [http, mqtt] = this.#ports;
    this.server = await startServer(this.rig, this.rig.path('server'), this.#adminToken, { http, mqtt });
  }

  async startBoard(): Promise<void> {
    this.board = await startBoard(this.rig, {
      directory: this.rig.path('board'),
      httpPort: this.#ports[2],
      source: { url: CLIP, pacing: 'realtime', loop: true },
      modelDirectory: FP32_PACKAGE,
    });
  }

  close(): Promise<void> {
    return this.rig.close();
  }
}

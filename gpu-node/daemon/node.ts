import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type ServerType, serve } from '@hono/node-server';
import type { RegisterNode } from '../../shared/api/nodes.ts';
import { BASE_PRECISIONS, type BasePrecision } from '../../shared/peft-config.ts';
import { elementCount } from '../graph/shapes.ts';
import { explain, type Log } from '../log.ts';
import { DEFAULT_TARGETS } from '../methods/lora.ts';
import { matchTargets } from '../methods/targets.ts';
import { adapterBase } from '../models/adapter-base.ts';
import { type BaseModelOutline, type BaseModelSource, outlineBaseModel } from '../models/open-base-model.ts';
import { autoPrecision as measuredPrecision } from '../precision/auto-precision.ts';
import { resolveDevice } from '../runtime/device.ts';
import { Classifier } from '../serve/classifier.ts';
import { Exporter } from '../serve/exporter.ts';
import { nodeApp } from '../serve/http.ts';
import { LoadMeter } from '../serve/load-meter.ts';
import { ServingLease } from '../serve/serving-lease.ts';
import type { SessionGroup } from '../serve/session-group.ts';
import { peftBaseModel } from '../weights/base-models.ts';
import { locateBaseModels } from '../weights/locate-base-model.ts';
import type { DownloadProgress } from '../weights/source.ts';
import { boundBodies, boundedServer } from './bound-requests.ts';
import { adapterCacheFolder, type NodeConfig } from './config.ts';
import { EdgeClient } from './edge-client.ts';
import { claimIdentity, type Identity } from './identity.ts';
import { JobLoop } from './job-loop.ts';
import { Presence } from './presence.ts';
import { TaskLoop } from './task-loop.ts';

/** Version that the node reports to the edge. */
const VERSION = '0.1.0';
/** Smallest download in bytes whose progress is logged. */
const WORTH_A_LINE = 5e6;
const TRAINER = new URL('../train/main.ts', import.meta.url);

/** A running node. */
export interface RunningNode {
  readonly id: string;
  /** Address under which the edge reaches it. */
  readonly url: string;
  /** Resolves once the edge has registered it. */
  readonly registered: Promise<void>;
  /**
   * Leases no more jobs, saves a running job's training and hands it back, finishes the running classifications, then ends. The job takes 8
   * s at most.
   */
  stop(): Promise<void>;
}

/**
 * Starts a node: device, base models, the fastest precision on this machine, serving workers, HTTP, then registration, which is retried
 * until the edge is up.
 * @throws errors that a person must fix, in words: DeviceError, AppError about a base model, or a taken port
 */
export async function startNode(config: NodeConfig, log: Log): Promise<RunningNode> {
  const device = await resolveDevice(config.device);
  const { home } = config;
  const located = await locateBaseModels(config.baseModels, { home, log, onProgress: progressLines(log) });
  const bases: ServedBase[] = [];
  for (const each of located) {
    const source = { ...each, weightsFolder: join(home, 'weights') };
    bases.push({ source, ...(await outlineBaseModel(source)) });
  }
  const autoPrecision = await measuredPrecision({ home, device, log });
  const edge = new EdgeClient({ url: config.edgeUrl, secret: config.nodeSecret });
  const cache = { folder: adapterCacheFolder(config), maxBytes: config.cacheBytes, source: edge };
  const { threads, slots, batchTokens, queueTokens, memoryBytes, sessionBytes } = config;
  const limits = { threads, slots, batchTokens, queueTokens, memoryBytes, sessionBytes };
  const sources = bases.map(({ source }) => source);
  const classifier = await Classifier.open({ bases: sources, cache, device, ...limits, log });
  const identity = await claimIdentity(home);
  try {
    await classifier.prepare(usualGroup(bases[0]!, autoPrecision));
    return await open({ config, log, device, bases, autoPrecision, edge, classifier, identity });
  } catch (error) {
    await classifier.stop();
    await identity.release();
    throw error;
  }
}

interface ServedBase extends BaseModelOutline {
  source: BaseModelSource;
}

/** The group of most adapters of a base model; its session is built before the first request. */
function usualGroup({ source, architecture }: ServedBase, precision: BasePrecision): SessionGroup {
  const usual = matchTargets(DEFAULT_TARGETS, architecture.linears('mean'));
  return { base: source.id, precision, plan: { lowRank: usual.map(({ name }) => name) } };
}

interface Parts {
  config: NodeConfig;
  log: Log;
  device: NodeConfig['device'];
  /** Base models; the first is the default. */
  bases: readonly ServedBase[];
  /** The precision that `base_precision: "auto"` means here. */
  autoPrecision: BasePrecision;
  edge: EdgeClient;
  classifier: Classifier;
  identity: Identity;
}

async function open(parts: Parts): Promise<RunningNode> {
  const { config, log, device, bases, autoPrecision, edge, classifier, identity } = parts;
  const jobs = new JobLoop({
    edge,
    folder: join(identity.folder, 'jobs'),
    baseModels: bases.map(({ source: { id, folder, sha256, weightsFolder } }) => ({
      id,
      folder,
      sha256,
      weights_folder: weightsFolder,
    })),
    autoPrecision,
    device,
    threads: config.threads,
    checkpointInterval: 1000 * config.checkpointSeconds,
    trainer: TRAINER,
    log,
    onChange: () => presence.wake(),
  });
  await jobs.open();
  const tasks = new TaskLoop({
    edge,
    folder: join(identity.folder, 'tasks'),
    classify: (request, signal) => classifier.classifyInBackground(request, signal),
    log,
    onChange: () => presence.wake(),
  });
  await tasks.open();
  const serving = new ServingLease();
  let draining = false;
  const training = () => Number(jobs.busy);
  const exporter = new Exporter({
    bases: bases.map(({ source }) => source),
    store: classifier.store,
    cache: adapterCacheFolder(config),
  });
  const app = nodeApp({
    secret: config.nodeSecret,
    classifier,
    exporter,
    serving,
    log,
    health: () => ({
      status: draining ? 'draining' : 'ok',
      id: identity.id,
      device,
      base_models: bases.map(({ source }) => source.id),
      adapters_resident: classifier.resident,
      training: training(),
      queue: classifier.queue,
    }),
    samples: () => ({ ...classifier.samples, exports: exporter.running, training_jobs: training() }),
  });
  const { server, port } = await listen(app.fetch, config);
  const url = config.nodeUrl ?? `http://127.0.0.1:${port}`;
  const load = new LoadMeter(() => classifier.samples);
  const presence = new Presence({
    edge,
    jobs,
    tasks,
    serving,
    load: () => load.read(),
    log,
    node: registration(parts, url),
    onDeleted: (bundles) => {
      classifier.evict(bundles).catch((error) => {
        log.warn('deleted adapters could not be removed', { reason: explain(error) });
      });
    },
  });
  const end = new AbortController();
  const registered = presence.register(end.signal);
  const beating = registered.then(() => presence.run(end.signal));
  const ids = bases.map(({ source }) => source.id).join(', ');
  log.info('listens', { id: identity.id, url, device, base_models: ids, auto_precision: autoPrecision });
  return {
    id: identity.id,
    url,
    registered,
    stop: async () => {
      draining = true;
      end.abort();
      exporter.stop();
      // The pending heartbeat may still lease a job; that job is handed back too.
      await beating;
      await Promise.all([presence.leave(), jobs.shutdown(), tasks.shutdown()]);
      await closeServer(server);
      await classifier.stop();
      await identity.release();
    },
  };
}

function registration({ config, device, bases, identity }: Parts, url: string): RegisterNode {
  const base_models = bases.map(({ source, ...outline }) => {
    const { poolings, ...base } = adapterBase(source, outline);
    const peft_name = peftBaseModel(source.id).baseModel;
    const weights = outline.architecture.weights.filter(({ optional }) => !optional);
    const weights_bytes = weights.reduce((sum, { shape }) => sum + 4 * elementCount(shape), 0);
    const precisions = [...BASE_PRECISIONS];
    return { ...base, poolings: [...poolings], precisions, weights_bytes, peft_name };
  });
  return { id: identity.id, url, device, base_models, slots: config.slots, version: VERSION };
}

function listen(
  fetch: (request: Request) => Response | Promise<Response>,
  { host, port }: NodeConfig,
): Promise<{ server: ServerType; port: number }> {
  return new Promise((resolve, reject) => {
    const server = serve(
      { fetch, hostname: host, port, serverOptions: boundedServer() },
      (address: AddressInfo) => resolve({ server, port: address.port }),
    );
    // The server speaks HTTP/1.1, because no other protocol was asked for.
    boundBodies(server as Server);
    server.on('error', (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === 'EADDRINUSE';
      const message = `WEFT_NODE_PORT: port ${port} of ${host} is taken; choose another, or 0 for any`;
      reject(taken ? new Error(message, { cause }) : cause);
    });
  });
}

/** Resolves when the running requests are answered. */
function closeServer(server: ServerType): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    if ('closeIdleConnections' in server) server.closeIdleConnections();
  });
}

/** Logs a line a second while a large file is fetched. */
function progressLines(log: Log) {
  let last = 0;
  return ({ source, file, bytes, total }: DownloadProgress) => {
    const now = performance.now();
    if (total < WORTH_A_LINE || now - last < 1000) return;
    last = now;
    const percent = Math.floor((100 * bytes) / total);
    log.info(`fetching ${file} from ${source}`, { percent, megabytes: Math.round(bytes / 1e6) });
  };
}

import type { AdapterShape } from './adapters.ts';
import {
  againstBareBase,
  againstPeft,
  againstTransformersJs,
  costOfMethods,
  distinctAgainstOne,
  mixedAgainstFirst,
} from './batches.ts';
import { loraOf } from './bench.ts';
import { aboveNode, shortText } from './edge.ts';
import type { Figure } from './figure.ts';
import { coldAboveWarm, hotBesideCold, quietBesideFlood } from './latency.ts';
import { ofManyAdapters } from './memory.ts';
import { againstPeftServer, againstTransformersJsServer, manyAgainstFew } from './throughput.ts';

/** As `"auto"` trains them. */
const ALL_LAYERS = { methods: [loraOf(8, 'all-linear')] };
const QUERY_VALUE = ['query', 'value'];
/** Five kinds of part, the first of them what `"auto"` trains. */
const METHODS: AdapterShape['methods'] = [
  { type: 'lora' },
  { type: 'ia3' },
  { type: 'bitfit' },
  { type: 'bottleneck' },
  { type: 'prefix_tuning' },
];

/** Each that shares runs with others, as `"auto"` makes it. */
const EVERY_METHOD: AdapterShape['methods'] = [
  ...METHODS,
  { type: 'lora', use_dora: true },
  { type: 'road' },
  { type: 'mam' },
  { type: 'unipelt' },
  { type: 'prompt_tuning' },
  { type: 'p_tuning' },
];

/** Every figure, in the order of measurement. */
export const FIGURES: readonly Figure[] = [
  {
    name: 'batch-64',
    what: '32 rows on 32 adapters, 64 tokens, times as fast as HF PEFT',
    aim: { atLeast: 2 },
    measure: (bench) => againstPeft(bench, 64),
  },
  {
    name: 'batch-16',
    what: '32 rows on 32 adapters, 16 tokens, times as fast as HF PEFT',
    aim: { atLeast: 4 },
    measure: (bench) => againstPeft(bench, 16),
  },
  {
    name: 'bare',
    what: '32 rows on 32 adapters, times as fast as the bare base model',
    aim: { atLeast: 0.95 },
    measure: (bench) => againstBareBase(bench),
  },
  {
    name: 'bare-all',
    what: 'the same in int8 with adapters of all linear layers',
    aim: { atLeast: 0.9 },
    measure: (bench) => againstBareBase(bench, { ...ALL_LAYERS, precision: 'int8' }),
  },
  {
    name: 'distinct',
    what: '64 rows on 64 adapters, times as fast as on one',
    aim: { atLeast: 0.95 },
    measure: (bench) => distinctAgainstOne(bench),
  },
  {
    name: 'distinct-all',
    what: 'the same with adapters of all linear layers',
    aim: { atLeast: 0.95 },
    measure: (bench) => distinctAgainstOne(bench, ALL_LAYERS),
  },
  {
    name: 'ranks',
    what: '32 rows, half of them on adapters of r 64, times as fast as all on r 8',
    aim: { atLeast: 0.85 },
    measure: (bench) => mixedAgainstFirst(bench, [loraOf(8, QUERY_VALUE), loraOf(64, QUERY_VALUE)]),
  },
  {
    name: 'ranks-all',
    what: 'the same with adapters of all linear layers',
    aim: { atLeast: 0.85 },
    measure: (bench) => mixedAgainstFirst(bench, [loraOf(8, 'all-linear'), loraOf(64, 'all-linear')]),
  },
  {
    name: 'methods',
    what: '32 rows on 32 adapters of five methods, times as fast as on LoRA alone',
    aim: { atLeast: 0.9 },
    measure: (bench) => mixedAgainstFirst(bench, METHODS),
  },
  {
    name: 'cost',
    what: 'rows of one method in int8, times as fast as the bare base model: the dearest method',
    measure: (bench) => costOfMethods(bench, EVERY_METHOD),
  },
  {
    name: 'transformers-js',
    what: 'one adapter in fp32, times as fast as transformers.js',
    aim: { atLeast: 1.2 },
    measure: againstTransformersJs,
  },
  {
    name: 'peft-server',
    what: 'requests/s through the whole server, 64 connections, times those of a PEFT server',
    aim: { atLeast: 4 },
    measure: againstPeftServer,
  },
  {
    name: 'transformers-js-server',
    what: 'the same on one adapter, times those of a transformers.js server',
    aim: { atLeast: 3 },
    measure: againstTransformersJsServer,
  },
  {
    name: 'zipf',
    what: 'requests/s on 1,000 adapters by Zipf, as a part of those on 5',
    aim: { atLeast: 0.94 },
    measure: manyAgainstFew,
  },
  {
    name: 'cold',
    what: 'the first answer of an adapter on disk, above a warm one',
    aim: { atMost: 5 },
    unit: 'ms',
    measure: coldAboveWarm,
  },
  {
    name: 'hot',
    what: 'p99 of a hot adapter while 200 cold ones load, times that in calm',
    aim: { atMost: 1.25 },
    measure: hotBesideCold,
  },
  {
    name: 'quiet',
    what: 'p99 of a quiet tenant while another floods, times that in calm',
    aim: { atMost: 2 },
    measure: quietBesideFlood,
  },
  {
    name: 'memory',
    what: 'of the node daemon with 1,000 adapters of r 8 known and 64 slots',
    aim: { atMost: 600 },
    unit: 'MB',
    measure: ofManyAdapters,
  },
  {
    name: 'edge',
    what: "a single short text through the edge, above the node's own answer, p50",
    aim: { atMost: 1 },
    unit: 'ms',
    measure: aboveNode,
  },
  {
    name: 'short',
    what: 'a single short text through the edge, warm, p50',
    aim: { atMost: 10 },
    unit: 'ms',
    measure: shortText,
  },
];

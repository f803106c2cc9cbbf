import { expect, it } from 'vitest';
import { NodeTraffic } from '../../../../edge/nodes/node-traffic.ts';

function traffic() {
  const time = { now: 0 };
  return { time, traffic: new NodeTraffic(() => time.now) };
}

it('counts the rows under way, and what a node says waits there for a second', () => {
  const { time, traffic: its } = traffic();
  const end = its.begin('a', 5, 1000);
  its.begin('a', 2, 1000);
  expect([its.load('a'), its.load('b')]).toEqual([7, 0]);
  end({ waiting: 40 });
  expect(its.load('a')).toBe(40);
  time.now = 999;
  expect(its.load('a')).toBe(40);
  time.now = 1000;
  expect(its.load('a')).toBe(0);
});

it('counts a request whose client has left for as long as it might have waited', () => {
  const { time, traffic: its } = traffic();
  its.begin('a', 5, 300);
  time.now = 299;
  expect(its.load('a')).toBe(5);
  time.now = 300;
  expect(its.load('a')).toBe(0);
});

it('leaves a node alone that has failed three times, until one request has succeeded', () => {
  const { time, traffic: its } = traffic();
  for (let i = 0; i < 3; i++) its.begin('a', 1, 1000)('trouble');
  expect([its.isOpen('a'), its.isOpen('b')]).toEqual([true, false]);
  time.now = 5000;
  expect(its.isOpen('a')).toBe(false);
  const end = its.begin('a', 1, 1000);
  expect(its.isOpen('a')).toBe(true);
  end({ waiting: 0 });
  expect(its.isOpen('a')).toBe(false);
});

it('does not hold a full queue against a node', () => {
  const { traffic: its } = traffic();
  for (let i = 0; i < 9; i++) its.begin('a', 1, 1000)('busy');
  expect(its.isOpen('a')).toBe(false);
});

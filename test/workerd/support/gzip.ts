export async function gzip(body: string | Uint8Array): Promise<Uint8Array> {
  const stream = new Response(body).body!.pipeThrough(new CompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

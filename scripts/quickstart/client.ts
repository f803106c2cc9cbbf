/** A request of the quickstart, in the form in which a reader would type it. */
export interface Step {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  json?: unknown;
  /** A file to send as multipart, with purpose=fine-tune. */
  upload?: { path: string; content: string };
}

/** Calls the edge and prints the curl command of each step. */
export class QuickstartClient {
  readonly #url: string;
  readonly #key: string;

  constructor(url: string, key: string) {
    this.#url = url;
    this.#key = key;
  }

  /** The same request as a shell command. */
  curl(step: Step): string {
    const parts = [`curl -s ${this.#url}${step.path}`, `-H 'Authorization: Bearer ${this.#key}'`];
    if (step.method === 'DELETE') parts.push('-X DELETE');
    if (step.upload) parts.push(`-F purpose=fine-tune -F 'file=@${step.upload.path}'`);
    if (step.json !== undefined) {
      const body = JSON.stringify(step.json).replaceAll("'", "'\\''");
      parts.push(`-H 'Content-Type: application/json' -d '${body}'`);
    }
    return parts.join(' \\\n      ');
  }

  /** Prints the step, takes it, and returns the answer's body. @throws where the answer's status is not the wanted one */
  async show<T>(step: Step, wanted: number): Promise<T> {
    console.log(`  $ ${this.curl(step)}`);
    return this.send<T>(step, wanted);
  }

  async send<T>(step: Step, wanted: number): Promise<T> {
    const headers: Record<string, string> = { authorization: `Bearer ${this.#key}` };
    const init: RequestInit = { method: step.method, headers };
    if (step.json !== undefined) {
      headers['content-type'] = 'application/json';
      init.body = JSON.stringify(step.json);
    }
    if (step.upload) {
      const form = new FormData();
      form.set('purpose', 'fine-tune');
      form.set('file', new Blob([step.upload.content]), step.upload.path.split('/').at(-1)!);
      init.body = form;
    }
    const response = await fetch(this.#url + step.path, init);
    const body = await response.text();
    if (response.status !== wanted) {
      throw new Error(`${step.method} ${step.path} answered ${response.status}, not ${wanted}: ${body}`);
    }
    return JSON.parse(body) as T;
  }
}

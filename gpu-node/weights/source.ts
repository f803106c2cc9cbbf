import type { BaseModelEntry, BaseModelFile } from './base-models.ts';

/** Progress of a download. `file` names the file that is being fetched, in the source's words; both counts are bytes. */
export interface DownloadProgress {
  source: string;
  file: string;
  bytes: number;
  total: number;
}

/** A source of base models. */
export interface DownloadSource {
  /** The place where it looks, for messages. */
  describe(entry: BaseModelEntry): string;
  /**
   * Fetches files into a folder and checks each against the entry's hashes. Rejects with the reason if it cannot, and gives up on a peer
   * that stays silent.
   */
  fetch(
    entry: BaseModelEntry,
    files: readonly BaseModelFile[],
    folder: string,
    onProgress: (progress: DownloadProgress) => void,
  ): Promise<void>;
}

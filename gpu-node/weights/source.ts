import type { BaseModelEntry, BaseModelFile } from './base-models.ts';

/** How far a download is. `file` is what is being fetched, in the words of its source; both counts are bytes. */
export interface DownloadProgress {
  source: string;
  file: string;
  bytes: number;
  total: number;
}

/** Somewhere that base models come from. */
export interface DownloadSource {
  /** In messages: where it looks. */
  describe(entry: BaseModelEntry): string;
  /**
   * Fetches files into a folder and checks each against the entry's hashes.
   * Rejects, saying why, where it cannot; gives up on a peer that stays silent.
   */
  fetch(
    entry: BaseModelEntry,
    files: readonly BaseModelFile[],
    folder: string,
    onProgress: (progress: DownloadProgress) => void,
  ): Promise<void>;
}

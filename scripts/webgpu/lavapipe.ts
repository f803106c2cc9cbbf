import { execFile } from 'node:child_process';
import { access, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { runCommand } from '../parity/python.ts';

/** Debian packages of Mesa. Debian 12's own version (22.3) does not run the provider; that of its backports (25) does. */
const PACKAGES = ['mesa-vulkan-drivers', 'libdrm2', 'libdrm-amdgpu1', 'libvulkan1'];
const SUITES = ['bookworm', 'bookworm-backports'];
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const LIBRARIES = 'root/usr/lib/x86_64-linux-gnu';
const DRIVER = 'root/usr/share/vulkan/icd.d/lvp_icd.json';

/**
 * Unpacks Mesa's software Vulkan device under `folder` the first time, for Debian 12 on x64; nothing is installed. Returns the environment
 * variables under which a process finds it.
 */
export async function lavapipe(folder: string): Promise<Record<string, string>> {
  const home = resolve(folder);
  const known = await access(join(home, DRIVER)).then(
    () => true,
    () => false,
  );
  if (!known) await unpack(home);
  return {
    LD_LIBRARY_PATH: join(home, LIBRARIES),
    VK_ICD_FILENAMES: join(home, DRIVER),
    XDG_RUNTIME_DIR: home,
  };
}

/** The mirror from which the system itself gets Debian's packages. @throws where it is no Debian 12, or has no package lists */
async function debianMirror(): Promise<string> {
  const wanted = ['Identifier: Packages', `Codename: ${SUITES[0]}`, 'Component: main'];
  const { stdout } = await promisify(execFile)('apt-get', [
    'indextargets',
    '--format',
    '$(REPO_URI)',
    ...wanted,
  ]);
  const [mirror] = stdout.split('\n');
  if (mirror) return mirror;
  throw new Error(`apt-get knows no ${SUITES[0]}: the software device is taken from Debian 12's packages`);
}

async function unpack(home: string): Promise<void> {
  await mkdir(join(home, 'lists/partial'), { recursive: true });
  await mkdir(join(home, 'cache/archives/partial'), { recursive: true });
  await mkdir(join(home, 'sources'), { recursive: true });
  const mirror = await debianMirror();
  const lines = SUITES.map((suite) => `deb [signed-by=${KEYRING}] ${mirror} ${suite} main\n`);
  await writeFile(join(home, 'sources/debian.list'), lines.join(''));
  const options = [
    '-oDir::Etc::SourceList=/dev/null',
    `-oDir::Etc::SourceParts=${join(home, 'sources')}`,
    `-oDir::State::Lists=${join(home, 'lists')}`,
    `-oDir::Cache=${join(home, 'cache')}`,
    '-oAPT::Default-Release=bookworm-backports',
    '-qq',
  ];
  await runCommand('apt-get', [...options, 'update']);
  const cd = 'cd "$1" && shift && exec apt-get "$@"';
  await runCommand('sh', ['-c', cd, 'sh', home, ...options, 'download', ...PACKAGES]);
  for (const file of await readdir(home)) {
    if (file.endsWith('.deb')) await runCommand('dpkg', ['-x', join(home, file), join(home, 'root')]);
  }
}

/**
 * Variables that an engine's process gets: where things lie, and how drivers, ONNX Runtime and Node behave. Everything else stays out, for there are tokens
 * and passwords among it.
 */
const names = [
  ...[
    'PATH',
    'HOME',
    'USERPROFILE',
    'HOMEDRIVE',
    'HOMEPATH',
    'LOCALAPPDATA',
    'SYSTEMROOT',
    'WINDIR',
    'TMPDIR',
    'TEMP',
    'TMP',
    'LANG',
    'TZ',
  ],
  ...['DISPLAY', 'WAYLAND_DISPLAY', 'XAUTHORITY', 'DRI_PRIME', 'NODE_OPTIONS', 'TILLER_WEIGHT_CACHE'],
];
const beginnings = [
  ...['LC_', 'LD_', 'DYLD_', 'XDG_', 'MALLOC_', 'OMP_', 'ORT_'],
  ...['VK_', 'MESA_', 'LIBGL_', 'GALLIUM_', 'LP_', 'RADV_', 'AMD_', 'ANV_', 'INTEL_', 'CUDA_', 'NVIDIA_', '__GL', '__NV', '__VK'],
];

export function childEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const kept = Object.entries(env).filter((entry): entry is [string, string] => {
    // Windows does not tell upper case from lower.
    const name = entry[0].toUpperCase();
    return entry[1] !== undefined && (names.includes(name) || beginnings.some((beginning) => name.startsWith(beginning)));
  });
  return Object.fromEntries(kept);
}

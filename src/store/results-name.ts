const PART = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/;

/** Parts of a name. A plain Error on a name that stores do not take: names are made by code, never by people. */
export function resultNameParts(name: string): string[] {
  const parts = name.split('/');
  if (!parts.every((part) => PART.test(part))) throw new Error(`"${name}" is not the name of a result`);
  return parts;
}

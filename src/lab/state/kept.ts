/**
 * Large things in the browser's storage, by name, in an IndexedDB: files and results, as they are. A browser without it loses them at
 * reload and nothing else.
 */
const database = 'tiller';
const table = 'kept';

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(database, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(table);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('the database cannot be opened'));
  });
}

async function within(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest): Promise<unknown> {
  const opened = await open();
  try {
    return await new Promise<unknown>((resolve, reject) => {
      const transaction = opened.transaction(table, mode);
      const request = work(transaction.objectStore(table));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error ?? new Error('the browser refused to keep it'));
    });
  } finally {
    opened.close();
  }
}

/** Null where nothing of this name is kept, or nothing can be. */
export async function readKept(name: string): Promise<unknown> {
  try {
    return (await within('readonly', (store) => store.get(name))) ?? null;
  } catch {
    return null;
  }
}

/** False when the browser refused, because storage is off or full. Null takes it away. */
export async function writeKept(name: string, value: unknown): Promise<boolean> {
  try {
    await within('readwrite', (store) => (value === null ? store.delete(name) : store.put(value, name)));
    return true;
  } catch {
    return false;
  }
}

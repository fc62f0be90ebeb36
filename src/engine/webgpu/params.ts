import type { Memory } from './memory.ts';

/** A field of a kernel's uniform: whole numbers are u32, wrapped numbers f32. */
export type Field = number | { readonly f32: number };

const SLAB = 65536;
const ALIGN = 256;

/** Uniforms that never change after they are made, packed into slabs and shared by content. */
export class Params {
  private readonly known = new Map<string, GPUBufferBinding>();
  private slab: GPUBuffer | null = null;
  private used = SLAB;

  constructor(private readonly memory: Memory) {}

  get(fields: readonly Field[]): GPUBufferBinding {
    const key = JSON.stringify(fields);
    let binding = this.known.get(key);
    if (!binding) {
      const size = Math.ceil((fields.length * 4) / 16) * 16;
      const bytes = new DataView(new ArrayBuffer(size));
      fields.forEach((field, index) => {
        if (typeof field === 'number') bytes.setUint32(index * 4, field, true);
        else bytes.setFloat32(index * 4, field.f32, true);
      });
      if (!this.slab || this.used + size > SLAB) {
        this.slab = this.memory.make('params', SLAB, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
        this.used = 0;
      }
      binding = { buffer: this.slab, offset: this.used, size };
      this.memory.device.queue.writeBuffer(this.slab, this.used, bytes.buffer);
      this.used += Math.ceil(size / ALIGN) * ALIGN;
      this.known.set(key, binding);
    }
    return binding;
  }
}

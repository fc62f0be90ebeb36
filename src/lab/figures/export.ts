/** Figures as files. Their colours are attributes, so a copy of the element is a whole picture. */

/** A stand-alone SVG document. @param ground colour behind the figure */
export function svgText(element: SVGSVGElement, title: string, ground: string): string {
  const copy = element.cloneNode(true) as SVGSVGElement;
  const { width, height } = element.viewBox.baseVal;
  const margin = 12;
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  copy.setAttribute('width', String(width + 2 * margin));
  copy.setAttribute('height', String(height + 2 * margin));
  copy.setAttribute('viewBox', `${-margin} ${-margin} ${width + 2 * margin} ${height + 2 * margin}`);
  for (const name of ['role', 'tabindex', 'class', 'aria-multiselectable']) copy.removeAttribute(name);
  for (const part of copy.querySelectorAll('*')) {
    for (const { name } of [...part.attributes]) {
      if (name === 'role' || name === 'tabindex' || name === 'class' || name.startsWith('aria-') || name.startsWith('data-'))
        part.removeAttribute(name);
    }
  }
  const make = (name: string): SVGElement => document.createElementNS('http://www.w3.org/2000/svg', name);
  const heading = make('title');
  heading.textContent = title;
  const back = make('rect');
  for (const [name, value] of Object.entries({
    x: -margin,
    y: -margin,
    width: width + 2 * margin,
    height: height + 2 * margin,
    fill: ground,
  })) {
    back.setAttribute(name, String(value));
  }
  copy.prepend(heading, back);
  return new XMLSerializer().serializeToString(copy);
}

/** The same as PNG, at twice the size for print. */
export async function pngBlob(svg: string, scale = 2): Promise<Blob> {
  const image = new Image();
  const url = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }));
  try {
    image.src = url;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = image.naturalWidth * scale;
    canvas.height = image.naturalHeight * scale;
    canvas.getContext('2d')?.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve, reject) => {
      canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('the browser gave no picture'))), 'image/png');
    });
  } finally {
    URL.revokeObjectURL(url);
  }
}

import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

/** What may be wider, or with `tall` higher, than its place. While it is, the keyboard reaches it to scroll. */
export function Scroll({ tall = false, children }: { tall?: boolean; children: ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null);
  const [isCut, setCut] = useState(false);
  useEffect(() => {
    const place = box.current!;
    const look = () =>
      setCut(place.scrollWidth > place.clientWidth || place.scrollHeight > place.clientHeight);
    const resized = new ResizeObserver(look);
    resized.observe(place);
    for (const child of place.children) resized.observe(child);
    return () => resized.disconnect();
  }, []);
  return (
    <div class={tall ? 'scroll tall' : 'scroll'} ref={box} {...(isCut && { tabIndex: 0 })}>
      {children}
    </div>
  );
}

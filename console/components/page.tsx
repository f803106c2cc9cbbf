import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

/** A place's frame: its heading takes the focus when one arrives, so that a screen reader begins there. */
export function Page({
  title,
  aside,
  children,
}: {
  title: string;
  aside?: ComponentChildren;
  children: ComponentChildren;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Weft`;
    heading.current?.focus({ preventScroll: true });
  }, [title]);
  return (
    <>
      <div class="page-head">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {aside !== undefined && <div class="actions">{aside}</div>}
      </div>
      {children}
    </>
  );
}

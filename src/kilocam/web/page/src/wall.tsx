// All cameras: live pictures for those in sight, nothing but a frame for the others.
import { useEffect, useRef, useState } from "preact/hooks";
import { Camera } from "./api";
import { LiveVideo, State, well } from "./picture";

const AT_ONCE = 24; // more live pictures would choke browser and network
const LINGER_MS = 1500; // a tile that only passes by while scrolling connects to nothing
const showing = new Set<string>(); // ids of tiles with live pictures

type Props = { cameras: Camera[] | null; query: string };

export function Wall({ cameras, query }: Props) {
  if (!cameras) return <p class="note">Loading…</p>;
  if (!cameras.length)
    return (
      <div class="note">
        <h1>No cameras yet</h1>
        <p>Add one on the server:</p>
        <pre>kilocam camera add gate rtsp://user:password@host/stream</pre>
      </div>
    );
  const wanted = query.trim().toLowerCase();
  const shown = cameras.filter(
    (c) => !wanted || c.id.includes(wanted) || c.status.state.includes(wanted),
  );
  if (!shown.length) return <p class="note">No camera’s name or state has “{query}” in it.</p>;
  return (
    <div class="wall" data-count={cameras.length}>
      {shown.map((camera) => (
        <Tile key={camera.id} camera={camera} />
      ))}
    </div>
  );
}

function Tile({ camera }: { camera: Camera }) {
  const tile = useRef<HTMLAnchorElement>(null);
  const near = useInSight(tile, camera.id);
  return (
    <a
      ref={tile}
      class={well(camera) ? "tile" : "tile ill"}
      href={`#/camera/${camera.id}`}
      data-testid={`tile-${camera.id}`}
    >
      {near ? <LiveVideo id={camera.id} /> : <div class="picture" />}
      <footer>
        <b>{camera.id}</b>
        <State camera={camera} />
      </footer>
    </a>
  );
}

/** Whether a tile is seen, and one of the few that may be live at once. */
function useInSight(tile: { current: HTMLElement | null }, id: string): boolean {
  const [near, setNear] = useState(false);
  useEffect(() => {
    let timer = 0;
    const leave = () => {
      clearTimeout(timer);
      showing.delete(id);
      setNear(false);
    };
    const enter = () => {
      if (showing.size >= AT_ONCE) {
        timer = window.setTimeout(enter, LINGER_MS);
        return;
      }
      showing.add(id);
      setNear(true);
    };
    const first = performance.now();
    const observer = new IntersectionObserver(
      ([entry]) => {
        if (!entry?.isIntersecting) return leave();
        clearTimeout(timer);
        // What is in sight when the wall appears starts at once.
        timer = window.setTimeout(enter, performance.now() - first < 500 ? 0 : LINGER_MS / 5);
      },
      { rootMargin: "80px" },
    );
    observer.observe(tile.current!);
    return () => {
      observer.disconnect();
      leave();
    };
  }, [id]);
  return near;
}

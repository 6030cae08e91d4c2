// All cameras: live pictures for those in sight, nothing but a frame for the others.
import { useEffect, useRef, useState } from "preact/hooks";
import { Camera } from "./api";
import { LiveVideo, State, Still, reasonOf, well } from "./picture";

const AT_ONCE = 24; // more live pictures would choke browser and network
const LINGER_MS = 1500; // a tile that only passes by while scrolling connects to nothing
const FINGERS = matchMedia("(pointer: coarse)").matches;
const showing = new Set<string>(); // ids of tiles with live pictures
const chosen = { query: "", onlyIll: false }; // as it was left

export function Wall({ cameras }: { cameras: Camera[] | null }) {
  const [query, setQuery] = useState(chosen.query);
  const [onlyIll, setOnlyIll] = useState(chosen.onlyIll);
  Object.assign(chosen, { query, onlyIll });
  const search = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.key !== "/" || event.target instanceof HTMLInputElement) return;
      event.preventDefault();
      search.current?.focus();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);

  if (!cameras) return <p class="note">Loading…</p>;
  if (!cameras.length)
    return (
      <div class="note">
        <h1>No cameras yet</h1>
        <p>Add one on the server:</p>
        <pre>kilocam camera add gate rtsp://user:password@host/stream</pre>
      </div>
    );
  const ill = cameras.filter((camera) => !well(camera)).length;
  const wanted = query.trim().toLowerCase();
  const shown = cameras.filter(
    (camera) =>
      (!onlyIll || !well(camera)) &&
      (!wanted || camera.id.includes(wanted) || camera.status.state.includes(wanted)),
  );
  return (
    <>
      <div class="bar">
        <span class="dim" data-testid="summary">
          {cameras.length - ill} of {cameras.length} cameras recording
        </span>
        {(ill > 0 || onlyIll) && (
          <button aria-pressed={onlyIll} onClick={() => setOnlyIll(!onlyIll)}>
            Not recording: {ill}
          </button>
        )}
        <span class="spread" />
        {cameras.length > 1 && (
          <input
            ref={search}
            type="search"
            class="find"
            aria-label="Find a camera"
            placeholder={FINGERS ? "Find a camera" : "Find a camera  /"}
            value={query}
            onInput={(event) => setQuery(event.currentTarget.value)}
          />
        )}
      </div>
      {!shown.length && (
        <p class="note">
          {wanted ? `No camera’s name or state has “${query}” in it.` : "All cameras are recording."}
        </p>
      )}
      <div class="wall" data-count={cameras.length}>
        {shown.map((camera) => (
          <Tile key={camera.id} camera={camera} />
        ))}
      </div>
    </>
  );
}

function Tile({ camera }: { camera: Camera }) {
  const tile = useRef<HTMLAnchorElement>(null);
  const sight = useSight(tile, camera.id, well(camera));
  return (
    <a
      ref={tile}
      class={well(camera) ? "tile" : "tile ill"}
      href={`#/camera/${camera.id}`}
      data-testid={`tile-${camera.id}`}
    >
      {!well(camera) ? (
        <Still text={reasonOf(camera)} />
      ) : sight === "live" ? (
        <LiveVideo id={camera.id} />
      ) : (
        <Still text={sight === "full" ? `${AT_ONCE} pictures play already; open it to see it` : ""} />
      )}
      <footer>
        <b>{camera.id}</b>
        <State camera={camera} />
      </footer>
    </a>
  );
}

type Sight = "far" | "live" | "full"; // full: seen, but as many as may be live are

/** Whether a tile is seen, and one of the few that may be live at once. */
function useSight(tile: { current: HTMLElement | null }, id: string, wanted: boolean): Sight {
  const [sight, setSight] = useState<Sight>("far");
  useEffect(() => {
    if (!wanted) return;
    let timer = 0;
    const leave = () => {
      clearTimeout(timer);
      showing.delete(id);
      setSight("far");
    };
    const enter = () => {
      const full = showing.size >= AT_ONCE;
      if (full) timer = window.setTimeout(enter, LINGER_MS);
      else showing.add(id);
      setSight(full ? "full" : "live");
    };
    const first = performance.now();
    const observer = new IntersectionObserver(
      (entries) => {
        clearTimeout(timer);
        if (!entries[entries.length - 1]?.isIntersecting) return leave();
        if (showing.has(id)) return;
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
  }, [id, wanted]);
  return sight;
}

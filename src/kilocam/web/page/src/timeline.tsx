// One camera's time as a strip: recorded, gaps with their causes, the moment that is shown.
// Drag to scrub, wheel to zoom.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, Footage, Gap, Span, footage } from "./api";
import { clock, day, lasting, words } from "./words";

const HEIGHT = 72;
const BAR = { top: 22, height: 30 };
const STEPS_S = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 86_400];
const LABEL_PX = 90;
const RENEW_MS = 4000;

type Props = {
  from: number;
  to: number;
  at: number;
  found: Footage | null;
  onScrub: (at: number) => void; // while dragging
  onSeek: (at: number) => void; // when let go
  onZoom: (factor: number, around: number) => void;
};

/** Ranges and gaps of a camera, renewed while somebody looks. */
export function useFootage(camera: string, from: number, to: number): [Footage | null, ApiError | null] {
  const [found, setFound] = useState<Footage | null>(null);
  const [trouble, setTrouble] = useState<ApiError | null>(null);
  const exact = useRef({ from, to });
  exact.current = { from, to };
  const zoom = to - from;
  useEffect(() => {
    const gone = new AbortController();
    let timer = 0;
    const load = async () => {
      try {
        const { from, to } = exact.current;
        const value = await footage(camera, from, to, gone.signal);
        if (gone.signal.aborted) return;
        setFound(value);
        setTrouble(null);
      } catch (error) {
        if (gone.signal.aborted) return;
        setTrouble(error as ApiError);
      }
      timer = window.setTimeout(load, RENEW_MS); // one at a time, however slow the answer
    };
    void load();
    return () => {
      gone.abort();
      clearTimeout(timer);
    };
  }, [camera, zoom]);
  return [found, trouble];
}

export function Timeline({ from, to, at, found, onScrub, onSeek, onZoom }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [pointed, setPointed] = useState<number | null>(null);
  const [width, setWidth] = useState(0);

  useEffect(() => {
    const observer = new ResizeObserver(() => setWidth(canvas.current?.clientWidth ?? 0));
    observer.observe(canvas.current!);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (canvas.current && width) draw(canvas.current, width, { found, from, to, at, pointed });
  }, [found, from, to, at, pointed, width]);

  const timeOf = (event: MouseEvent): number => {
    const box = canvas.current!.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return from + share * (to - from);
  };
  const gap = pointed === null ? undefined : found?.gaps.find((g) => inside(g, pointed));
  return (
    <div class="timeline">
      {pointed !== null && (
        <div
          class="hint"
          data-testid="hint"
          style={{ "--at": `${((pointed - from) / (to - from)) * 100}%` }}
        >
          {clock(pointed)}
          {gap && <em> nothing recorded{isKnown(gap) && `: ${words(gap.cause)}`}</em>}
        </div>
      )}
      <canvas
        ref={canvas}
        role="slider"
        tabIndex={0}
        aria-label="Time; left and right move by 10 seconds"
        aria-valuemin={from}
        aria-valuemax={to}
        aria-valuenow={Math.round(at)}
        aria-valuetext={`${day(at)} ${clock(at)}`}
        data-testid="timeline"
        data-from={from}
        data-to={to}
        data-ranges={found?.ranges.length ?? 0}
        data-gaps={found?.gaps.length ?? 0}
        onPointerMove={(event) => {
          const time = timeOf(event);
          setPointed(time);
          if (event.buttons & 1) onScrub(time);
        }}
        onPointerLeave={() => setPointed(null)}
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          canvas.current!.setPointerCapture(event.pointerId);
          onScrub(timeOf(event));
        }}
        onPointerUp={(event) => event.button === 0 && onSeek(timeOf(event))}
        onWheel={(event) => {
          event.preventDefault();
          onZoom(event.deltaY > 0 ? 1.25 : 0.8, timeOf(event));
        }}
      />
    </div>
  );
}

/** What is missing, in words; a click shows the last picture before. */
export function Gaps({ found, onSeek }: { found: Footage | null; onSeek: (at: number) => void }) {
  if (!found) return null;
  const missing = found.gaps.filter(isKnown);
  const gaps = missing.filter((gap) => length(gap) >= 1000).reverse();
  const recorded = total(found.ranges);
  const share = recorded / (recorded + total(missing) || 1);
  return (
    <div class="gaps" data-testid="gaps">
      <span class="dim">
        {recorded
          ? `${(share * 100).toFixed(share < 0.9995 ? 1 : 0)} % recorded`
          : "nothing recorded in this stretch"}
      </span>
      {gaps.slice(0, 12).map((gap) => (
        <button key={gap.start} onClick={() => onSeek(Date.parse(gap.start) - 2000)}>
          <i /> {clock(Date.parse(gap.start))} · {words(gap.cause)} · {lasting(length(gap))}
        </button>
      ))}
      {gaps.length > 12 && <span class="dim">and {gaps.length - 12} more</span>}
    </div>
  );
}

const length = (span: Span): number => Date.parse(span.end) - Date.parse(span.start);
const total = (spans: Span[]): number => spans.reduce((sum, span) => sum + length(span), 0);

/** From before the camera was added nothing is missing that anybody could expect. */
const isKnown = (gap: Gap): boolean => gap.cause !== "unknown";

const inside = (gap: Gap, time: number): boolean =>
  Date.parse(gap.start) <= time && time < Date.parse(gap.end);

type Shown = Pick<Props, "from" | "to" | "at" | "found"> & { pointed: number | null };

function draw(canvas: HTMLCanvasElement, width: number, shown: Shown): void {
  const { from, to, at, found, pointed } = shown;
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = HEIGHT * scale;
  const context = canvas.getContext("2d");
  if (!context) return;
  const style = getComputedStyle(canvas);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  context.scale(scale, scale);
  const x = (time: number) => ((time - from) / (to - from)) * width;
  const bars = (spans: Span[], fill: string) => {
    context.fillStyle = fill;
    for (const span of spans) {
      const left = Math.max(0, x(Date.parse(span.start)));
      const right = Math.min(width, x(Date.parse(span.end)));
      if (right > 0 && left < width)
        context.fillRect(left, BAR.top, Math.max(1.5, right - left), BAR.height);
    }
  };
  context.fillStyle = colour("panel");
  context.fillRect(0, BAR.top, width, BAR.height);
  bars(found?.ranges ?? [], colour("recorded"));
  bars(found?.gaps.filter(isKnown) ?? [], colour("gap"));
  bars(found?.gaps.filter((gap) => !isKnown(gap)) ?? [], colour("unknown"));
  ticks(context, width, from, to, x, colour("dim"));
  if (pointed !== null) {
    context.fillStyle = colour("dim");
    context.fillRect(x(pointed) - 0.5, BAR.top - 4, 1, BAR.height + 8);
  }
  context.fillStyle = colour("now");
  context.fillRect(x(at) - 1, BAR.top - 8, 2, BAR.height + 16);
  context.beginPath();
  context.arc(x(at), BAR.top - 8, 4, 0, 7);
  context.fill();
}

function ticks(
  context: CanvasRenderingContext2D,
  width: number,
  from: number,
  to: number,
  x: (time: number) => number,
  colour: string,
): void {
  const least = ((to - from) / width) * LABEL_PX;
  const step = (STEPS_S.find((s) => s * 1000 >= least) ?? 86_400) * 1000;
  const zone = new Date(from).getTimezoneOffset() * 60_000; // full hours of the wall clock here
  context.fillStyle = colour;
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "center";
  for (let time = Math.ceil((from - zone) / step) * step + zone; time < to; time += step) {
    context.fillRect(x(time), BAR.top + BAR.height, 1, 4);
    const label = step < 60_000 ? clock(time) : clock(time).slice(0, 5);
    if (x(time) > 20 && x(time) < width - 20)
      context.fillText(label, x(time), BAR.top + BAR.height + 16);
  }
}

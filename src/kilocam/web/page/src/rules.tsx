// Zones and lines of a camera: seen over its picture, drawn there, counted below it.
import { RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, Count, Point, Rule, countHits, putRule, removeRule, rules as ask } from "./api";

const COUNT_MS = 10_000;
const NAME_PX = 13; // on the screen, however large the picture is
const CORNER_PX = 4;
const CLASSES: [string, string[]][] = [
  ["everything", []],
  ["people", ["person"]],
  ["vehicles", ["vehicle"]],
];
const NAMES: Record<string, string> = {
  zone: "zone",
  line: "line",
  loitering: "loitering",
  left_object: "left object",
  crowd: "crowd",
  speed: "speed",
};

type Draft = { kind: "zone" | "line"; points: Point[] };

export type Rules = {
  rules: Rule[];
  counts: Count[];
  trouble: string;
  draft: Draft | null;
  draw: (draft: Draft | null) => void;
  save: (name: string, classes: string[]) => Promise<void>;
  remove: (name: string) => Promise<void>;
};

const textOf = (error: unknown): string =>
  error instanceof ApiError ? error.message : String(error);

const midnight = (): number => new Date().setHours(0, 0, 0, 0);

/** The camera's rules, what they counted today, and what is being drawn. */
export function useRules(id: string): Rules {
  const [rules, setRules] = useState<Rule[]>([]);
  const [counts, setCounts] = useState<Count[]>([]);
  const [trouble, setTrouble] = useState("");
  const [draft, setDraft] = useState<Draft | null>(null);

  const load = async () => {
    try {
      const found = await ask(id);
      setRules(found.items);
      // Only a camera with rules is asked what they counted.
      setCounts(found.items.length ? (await countHits(id, midnight(), Date.now())).items : []);
    } catch (error) {
      // A camera that is gone, or a database that is away: told beside the picture already.
      if (!(error instanceof ApiError)) throw error;
    }
  };
  const change = async (doing: Promise<unknown>) => {
    try {
      setTrouble(""); // the same refusal twice is seen twice
      await doing;
      setDraft(null);
    } catch (error) {
      setTrouble(textOf(error));
    }
    await load();
  };
  useEffect(() => {
    void load();
    const timer = setInterval(() => void load(), COUNT_MS);
    return () => clearInterval(timer);
  }, [id]);

  return {
    rules,
    counts,
    trouble,
    draft,
    draw: (next) => {
      setTrouble("");
      setDraft(next);
    },
    save: (name, classes) => {
      const { kind, points } = draft!;
      const shape = kind === "zone" ? { polygon: points } : { line: points };
      return change(putRule(id, name, { kind, classes, ...shape }));
    },
    remove: (name) => change(removeRule(id, name)),
  };
}

/** Over the picture, which keeps its shape in the stage as the drawing does (`contain`). */
export function RulesOver({ rules, draft, draw }: Rules) {
  const svg = useRef<SVGSVGElement>(null);
  const { width, height, unit } = usePicture(svg);
  const at = ([x, y]: Point): string => `${x * width},${y * height}`;
  const path = (points: Point[]): string => points.map(at).join(" ");

  const add = (event: PointerEvent) => {
    if (!draft || (draft.kind === "line" && draft.points.length === 2)) return;
    const screen = svg.current!.getScreenCTM()!.inverse();
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(screen);
    const inside = (share: number) => Math.round(Math.min(1, Math.max(0, share)) * 1e4) / 1e4;
    draw({ ...draft, points: [...draft.points, [inside(x / width), inside(y / height)]] });
  };

  return (
    <svg
      ref={svg}
      class={draft ? "rules drawing" : "rules"}
      viewBox={`0 0 ${width} ${height}`}
      data-testid="rules-over"
      onPointerDown={add}
    >
      {rules.map((rule) => (
        <g key={rule.name} class={rule.kind}>
          {rule.polygon && <polygon points={path(rule.polygon)} />}
          {rule.image && <polygon points={path(rule.image)} />}
          {rule.line && <polyline points={path(rule.line)} />}
          {rule.line && <polyline points={arrow(rule.line, width, height)} />}
        </g>
      ))}
      {labels(rules, width, height, NAME_PX * unit).map(({ name, x, y }) => (
        <text key={name} x={x} y={y} font-size={NAME_PX * unit} stroke-width={4 * unit}>
          {name}
        </text>
      ))}
      {draft && (
        <g class="draft">
          {draft.kind === "zone" ? (
            <polygon points={path(draft.points)} />
          ) : (
            <polyline points={path(draft.points)} />
          )}
          {draft.kind === "line" && draft.points.length === 2 && (
            <polyline points={arrow(draft.points, width, height)} />
          )}
          {draft.points.map(([x, y]) => (
            <circle cx={x * width} cy={y * height} r={CORNER_PX * unit} />
          ))}
        </g>
      )}
    </svg>
  );
}

/** From a line's middle to the right of who goes along it: where `left_to_right` leads. */
function arrow([a, b]: Point[], width: number, height: number): string {
  const [dx, dy] = [(b![0] - a![0]) * width, (b![1] - a![1]) * height];
  const size = (height * 0.05) / Math.hypot(dx, dy);
  const [x, y] = [((a![0] + b![0]) / 2) * width, ((a![1] + b![1]) / 2) * height];
  const tip = [x - dy * size, y + dx * size] as const;
  const back = (along: number) =>
    `${tip[0] + (dy + dx * along) * size * 0.35},${tip[1] - (dx - dy * along) * size * 0.35}`;
  return `${x},${y} ${tip.join()} ${back(1)} ${tip.join()} ${back(-1)}`;
}

type Label = { name: string; x: number; y: number; long: number };

/** Names at their rules' first points, each `size` high, inside the picture, none upon another. */
function labels(rules: Rule[], width: number, height: number, size: number): Label[] {
  const within = (value: number, low: number, high: number) =>
    Math.max(low, Math.min(high, value));
  const [first, last, line] = [1.3 * size, height - 0.5 * size, 1.5 * size];
  const placed: Label[] = [];
  for (const { name, polygon, image, line: ends } of rules) {
    const corner = (polygon ?? image ?? ends)?.[0];
    if (!corner) continue;
    const long = name.length * size * 0.65; // about what it takes
    const x = within(corner[0] * width, 0.3 * size, Math.max(0.3 * size, width - long));
    const wanted = within(corner[1] * height, first, last);
    const taken = (y: number): boolean =>
      placed.some(
        (other) =>
          Math.abs(other.y - y) < 0.99 * line && x < other.x + other.long && other.x < x + long,
      );
    // The nearest free place below or above; each name takes two of them at most.
    const steps = Array.from({ length: 2 * placed.length + 1 }, (_, n) => n * line);
    const places = steps.flatMap((step) => [wanted + step, wanted - step]);
    const y = places.find((place) => first <= place && place <= last && !taken(place)) ?? wanted;
    placed.push({ name, x, y, long });
  }
  return placed;
}

type Picture = { width: number; height: number; unit: number }; // unit: what a pixel on the screen is

/** The size of the stage's video as soon as it is known, and how large it stands on the screen. */
function usePicture(svg: RefObject<SVGSVGElement>): Picture {
  const [[width, height], setSize] = useState<[number, number]>([1600, 900]);
  const [stage, setStage] = useState<[number, number]>([1600, 900]);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => {
      const { width, height } = entry!.contentRect;
      if (width && height) setStage([width, height]);
    });
    observer.observe(svg.current!);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const stage = svg.current!.parentElement!;
    const look = () => {
      const video = stage.querySelector("video");
      if (video?.videoWidth) setSize([video.videoWidth, video.videoHeight]);
    };
    look();
    const kinds = ["loadedmetadata", "resize"]; // neither bubbles
    for (const kind of kinds) stage.addEventListener(kind, look, true);
    return () => {
      for (const kind of kinds) stage.removeEventListener(kind, look, true);
    };
  }, []);
  return { width, height, unit: Math.max(width / stage[0], height / stage[1]) };
}

/** The list of rules with what they counted today, and the tools to draw. */
export function RulesPanel({ rules, counts, trouble, draft, draw, save, remove }: Rules) {
  const [name, setName] = useState("");
  const [classes, setClasses] = useState(0);
  const refused = useRef<HTMLParagraphElement>(null);
  useEffect(() => refused.current?.scrollIntoView({ block: "nearest" }), [trouble]);
  const enough = draft && draft.points.length >= (draft.kind === "zone" ? 3 : 2);
  const begin = (kind: Draft["kind"]) => {
    setName("");
    draw({ kind, points: [] });
  };
  return (
    <section class="rules-panel" data-testid="rules">
      <div class="bar">
        <h2>Rules</h2>
        {draft ? (
          <form
            class="bar"
            onSubmit={(event) => {
              event.preventDefault();
              void save(name, CLASSES[classes]![1]);
            }}
          >
            <span>
              {draft.kind === "zone"
                ? "Mark the zone's corners in the picture"
                : "Mark the line's two ends: counted with the arrow and against it"}
            </span>
            <input
              value={name}
              onInput={(event) => setName(event.currentTarget.value)}
              placeholder="name, such as door"
              pattern="[a-z0-9][a-z0-9_\-]{0,62}"
              title="a-z, 0-9, - and _"
              aria-label="Name"
              required
            />
            <select
              aria-label="Of what"
              value={classes}
              onChange={(event) => setClasses(Number(event.currentTarget.value))}
            >
              {CLASSES.map(([words], index) => (
                <option value={index}>{words}</option>
              ))}
            </select>
            <button type="submit" disabled={!enough}>
              Save
            </button>
            <button type="button" onClick={() => draw(null)}>
              Cancel
            </button>
          </form>
        ) : (
          <>
            <button data-testid="draw-zone" onClick={() => begin("zone")}>
              Draw a zone
            </button>
            <button data-testid="draw-line" onClick={() => begin("line")}>
              Draw a line
            </button>
          </>
        )}
      </div>
      {trouble && (
        <p ref={refused} class="trouble" role="alert">
          {trouble}
        </p>
      )}
      <ul>
        {rules.map((rule) => (
          <li key={rule.name}>
            <b>{rule.name}</b> <span>{NAMES[rule.kind] ?? rule.kind}</span>
            <span data-testid={`count-${rule.name}`}>{today(rule, counts)}</span>
            <button
              class="quiet"
              aria-label={`Remove ${rule.name}`}
              onClick={() => confirm(`Remove ${rule.name}?`) && void remove(rule.name)}
            >
              Remove
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** `today 4 with the arrow, 6 against it`. */
function today(rule: Rule, counts: Count[]): string {
  const mine = counts.filter((count) => count.rule === rule.name);
  const sum = (of: Count[]) => of.reduce((all, count) => all + count.hits, 0);
  if (rule.kind !== "line") return `today ${sum(mine)}`;
  const there = sum(mine.filter((count) => count.direction === "left_to_right"));
  return `today ${there} with the arrow, ${sum(mine) - there} against it`;
}

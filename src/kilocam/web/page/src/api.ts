// Calls of the gateway, typed by hand after /v1/openapi.json.

export type CameraStatus = {
  state: string;
  since: string | null;
  reason: string;
  bitrate_bps: number;
  fps: number;
  last_packet_at: string | null;
};

export type Camera = { id: string; status: CameraStatus };
export type Span = { start: string; end: string };
export type Gap = Span & { cause: string; detail: string };
export type Footage = { ranges: Span[]; gaps: Gap[]; coverage: number };

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

async function call<T>(path: string, options: RequestInit = {}): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error instanceof DOMException) throw error; // aborted by ourselves
    throw new ApiError(0, "the server does not answer; trying again");
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new ApiError(answer.status, problem.detail ?? answer.statusText);
  }
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

type Page<T> = { items: T[]; next_cursor: string | null };

/** All items of a list that comes in pages. */
async function all<T>(path: string): Promise<T[]> {
  const found: T[] = [];
  let cursor: string | null = null;
  do {
    const query: string = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    const page: Page<T> = await call(`${path}?limit=500${query}`);
    found.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor);
  return found;
}

/** Every camera of the tenant, from the database. */
export const cameras = (): Promise<Camera[]> => all("/v1/cameras");

/** What recorders say; answers while the database is dead. */
export const status = (): Promise<Camera[]> => all("/v1/status");

export const signIn = (secret: { link: string } | { token: string }): Promise<void> =>
  call("/v1/session", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(secret),
  });

export const signOut = (): Promise<void> => call("/v1/session", { method: "DELETE" });

const iso = (time: number): string => new Date(time).toISOString();
const range = (from: number, to: number): string => `from=${iso(from)}&to=${iso(to)}`;

export const footage = (
  id: string,
  from: number,
  to: number,
  signal: AbortSignal,
): Promise<Footage> => call(`/v1/cameras/${id}/footage?${range(from, to)}`, { signal });

export const playlistUrl = (id: string, from: number, to: number): string =>
  `/v1/cameras/${id}/hls/index.m3u8?${range(from, to)}`;

export const clipUrl = (id: string, from: number, to: number): string =>
  `/v1/cameras/${id}/clip.mp4?${range(from, to)}`;

export const snapshotUrl = (id: string, at: number | null, width?: number): string => {
  const query = [at === null ? "" : `at=${iso(at)}`, width ? `width=${width}` : ""];
  return `/v1/cameras/${id}/snapshot.jpg?${query.filter(Boolean).join("&")}`;
};

export function liveUrl(id: string): string {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  return `${scheme}://${location.host}/v1/cameras/${id}/live`;
}

export type Box = [number, number, number, number];
/** What an event and a result of a search have in common. */
export type Shown = {
  camera: string;
  title: string;
  start: string;
  end: string;
  box: Box;
  text: string[]; // what was read or said; empty for an object
  description: string; // what a model says of its picture, and may be wrong about
  described_by: string; // that model
  snapshot_url: string;
  clip_url: string;
};
export type Seen = Shown & { id: string; score: number };
export type Found = Shown & { kind: string; event_id: string };

export const events = (cursor: string | null): Promise<Page<Seen>> =>
  call(`/v1/events?limit=48${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);

export const search = (
  query: string,
  signal: AbortSignal,
): Promise<{ items: Found[]; unmatched: string[] }> =>
  call("/v1/search", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query, limit: 48 }),
    signal,
  });

export const similar = (
  id: string,
  signal: AbortSignal,
): Promise<{ items: (Seen & { likeness: number })[] }> =>
  call(`/v1/events/${id}/similar?limit=48`, { signal });

const AGAIN_MS = 3000;
const AGAIN_MOST_MS = 60_000; // whoever is refused for long asks seldom

/** Calls `changed` when events were opened or extended, until the returned function is called.
 * Also once the stream is open: what came between the list and that moment is told by nobody. */
export function followEvents(changed: () => void): () => void {
  let source: EventSource;
  let timer = 0;
  let wait = AGAIN_MS;
  const follow = () => {
    source = new EventSource("/v1/events/stream");
    source.onopen = () => {
      wait = AGAIN_MS;
      changed();
    };
    source.onmessage = changed;
    for (const kind of ["event", "opened", "extended"]) source.addEventListener(kind, changed);
    source.onerror = () => {
      // A broken stream is opened again by the browser, one that was refused by nobody but us.
      if (source.readyState !== EventSource.CLOSED) return;
      timer = window.setTimeout(follow, wait);
      wait = Math.min(AGAIN_MOST_MS, 2 * wait);
    };
  };
  follow();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}

export type Point = [number, number];
export type Rule = {
  name: string;
  kind: string;
  classes: string[];
  polygon: Point[] | null;
  line: Point[] | null;
  image: Point[] | null;
};
export type Count = { rule: string; kind: string; direction: string | null; hits: number };

export const rules = (id: string): Promise<Page<Rule>> => call(`/v1/cameras/${id}/rules`);

export const putRule = (id: string, name: string, rule: object): Promise<Rule> =>
  call(`/v1/cameras/${id}/rules/${encodeURIComponent(name)}`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(rule),
  });

export const removeRule = (id: string, name: string): Promise<void> =>
  call(`/v1/cameras/${id}/rules/${encodeURIComponent(name)}`, { method: "DELETE" });

export const countHits = (id: string, from: number, to: number): Promise<Page<Count>> =>
  call(`/v1/cameras/${id}/counts?${range(from, to)}`);

export type Stage = {
  name: string;
  seen: number;
  passed: number;
  share: number | null;
  cost_ms: number | null;
};
export type Missed = { audited: number; moving: number; low: number; high: number };
export type Analysis = {
  offered: number;
  looked: number;
  skipped: Record<string, number>; // by reason
  cascade: { stages: Stage[]; missed: Missed };
  cameras: { camera: string }[];
};

/** Of the last day; of all cameras when none is named. */
export const analysis = (camera: string, signal: AbortSignal): Promise<Analysis> =>
  call(`/v1/analysis${camera ? `?camera=${camera}` : ""}`, { signal });

// One camera: live or a moment of the past above, its timeline below.
import { useEffect, useRef, useState } from "preact/hooks";
import { Camera, clipUrl, snapshotUrl } from "./api";
import { LiveVideo, State, Still, reasonOf, well } from "./picture";
import { PastPlayer } from "./past";
import { RulesOver, RulesPanel, useRules } from "./rules";
import { Gaps, Timeline, useFootage } from "./timeline";
import { clock, day } from "./words";

const SPANS: [string, number][] = [
  ["10 min", 600_000],
  ["1 h", 3_600_000],
  ["6 h", 21_600_000],
  ["24 h", 86_400_000],
];
const SPEEDS = [1, 4, 16];
const LEAST_SPAN = 30_000;
const MOST_SPAN = 7 * 86_400_000;
const NOW_SHARE = 0.97; // live: the newest moment stands a little inside the strip

const SPAN = 600_000; // shown at first

type Window = { from: number; to: number };

const around = (at: number): Window => ({ from: at - SPAN / 4, to: at + (SPAN * 3) / 4 });

const live = (span: number): Window => {
  const now = Date.now();
  return { from: now - span * NOW_SHARE, to: now + span * (1 - NOW_SHARE) };
};

type Props = {
  id: string;
  camera: Camera | undefined;
  listed: boolean; // whether the list has come, so that no `camera` means none of this name
  start: number; // a moment of the past, or NaN for live
};

export function CameraView({ id, camera, listed, start }: Props) {
  const past = Number.isNaN(start) ? null : start;
  const [window_, setWindow] = useState<Window>(() => (past === null ? live(SPAN) : around(past)));
  const [moment, setMoment] = useState<number | null>(past); // null: live
  const [scrubbed, setScrubbed] = useState<number | null>(null); // while dragging
  const [now, setNow] = useState(() => past ?? Date.now()); // of the picture shown
  const [speed, setSpeed] = useState(1);
  const [paused, setPaused] = useState(false);
  const [playing, setPlaying] = useState(false); // a live picture
  const { from, to } = window_;
  const [found, trouble] = useFootage(id, from, to);
  const rules = useRules(id);

  useEffect(() => {
    if (moment !== null) return;
    const timer = setInterval(() => {
      setNow(Date.now());
      setWindow((was) => live(was.to - was.from));
    }, 1000);
    return () => clearInterval(timer);
  }, [moment === null]);
  // What plays stays in sight.
  useEffect(() => {
    if (moment !== null && (now > to || now < from)) {
      const span = to - from;
      setWindow({ from: now - span / 4, to: now + (span * 3) / 4 });
    }
  }, [now]);

  const goLive = () => {
    setMoment(null);
    setSpeed(1);
    setPaused(false);
    setNow(Date.now());
  };
  const seek = (at: number) => {
    setScrubbed(null);
    if (at >= Date.now() - 3000) return goLive();
    setNow(at);
    setMoment(at);
  };
  const zoom = (factor: number, around: number) =>
    setWindow((was) => {
      const span = Math.min(MOST_SPAN, Math.max(LEAST_SPAN, (was.to - was.from) * factor));
      const share = (around - was.from) / (was.to - was.from);
      return { from: around - share * span, to: around + (1 - share) * span };
    });
  const current = scrubbed ?? now;

  useKeys({
    ArrowLeft: (far) => seek(now - (far ? 60_000 : 10_000)),
    ArrowRight: (far) => seek(now + (far ? 60_000 : 10_000)),
    " ": () => (moment === null ? seek(Date.now() - 5000) : setPaused((was) => !was)),
    l: goLive,
    "+": () => zoom(0.5, current),
    "-": () => zoom(2, current),
    "1": () => setSpeed(1),
    "2": () => setSpeed(4),
    "3": () => setSpeed(16),
    Escape: () => (location.hash = "#/"),
  });

  // A camera that was removed is not listed either, but its footage is there.
  if (listed && !camera && trouble?.status === 404) return <NoCamera id={id} />;
  const lit = moment === null && playing;
  return (
    <section class="camera">
      <div class="bar">
        <a href="#/" class="back" aria-label="All cameras">
          ‹
        </a>
        <h1>{id}</h1>
        <State camera={camera} />
        <span class="spread" />
        <a
          class="button"
          href={snapshotUrl(id, moment === null ? null : now)}
          target="_blank"
          title="This picture as a JPEG"
        >
          Picture
        </a>
        <a
          class="button"
          href={clipUrl(id, now - 30_000, now + 30_000)}
          target="_blank"
          title="Half a minute before and after, as an MP4"
        >
          Clip ±30 s
        </a>
      </div>
      <div class="stage" data-testid="stage">
        {moment === null && !listed ? (
          <Still text="Loading…" />
        ) : moment === null && camera && !well(camera) ? (
          <Still text={reasonOf(camera)} />
        ) : moment === null ? (
          <LiveVideo id={id} onPlaying={setPlaying} />
        ) : (
          <PastVideo
            id={id}
            at={moment}
            speed={speed}
            paused={paused}
            onTime={setNow}
            onCaughtUp={goLive}
          />
        )}
        {scrubbed !== null && <Scrub id={id} at={scrubbed} />}
        <RulesOver {...rules} />
      </div>
      <div class="bar controls">
        <button
          class={lit ? "live on" : "live"}
          data-testid="go-live"
          aria-pressed={lit}
          onClick={goLive}
        >
          <i /> Live
        </button>
        <button onClick={() => seek(now - 10_000)} aria-label="10 seconds back">
          −10 s
        </button>
        <button
          disabled={moment === null}
          data-testid="pause"
          onClick={() => setPaused(!paused)}
          aria-label={paused ? "Play" : "Pause"}
        >
          {paused ? "▶" : "❚❚"}
        </button>
        <button disabled={moment === null} onClick={() => seek(now + 10_000)}>
          +10 s
        </button>
        <Choice
          options={SPEEDS.map((value) => [`${value}×`, value])}
          value={speed}
          disabled={moment === null}
          onChoose={setSpeed}
        />
        <time data-testid="moment" data-now={Math.round(current)}>
          <small>{day(current)}</small> {clock(current)}
        </time>
        <span class="spread" />
        <Choice
          options={SPANS}
          value={to - from}
          onChoose={(span) =>
            setWindow(
              moment === null ? live(span) : { from: now - span / 2, to: now + span / 2 },
            )
          }
        />
      </div>
      <Timeline
        {...{ from, to, at: current, found }}
        onScrub={setScrubbed}
        onSeek={seek}
        onZoom={zoom}
      />
      {trouble ? <p class="trouble">{trouble.message}</p> : <Gaps found={found} onSeek={seek} />}
      <RulesPanel {...rules} />
      <p class="keys">
        <kbd>←</kbd> <kbd>→</kbd> 10 s, with <kbd>shift</kbd> 1 min · <kbd>space</kbd> pause ·{" "}
        <kbd>1</kbd> <kbd>2</kbd> <kbd>3</kbd> speed · <kbd>+</kbd> <kbd>−</kbd> zoom ·{" "}
        <kbd>l</kbd> live · <kbd>esc</kbd> all cameras
      </p>
    </section>
  );
}

function NoCamera({ id }: { id: string }) {
  return (
    <div class="note">
      <h1>There is no camera “{id}”</h1>
      <p>It was removed, or the address is mistyped.</p>
      <a class="button" href="#/">
        All cameras
      </a>
    </div>
  );
}

type Keys = Record<string, (shift: boolean) => void>;

function useKeys(keys: Keys): void {
  const newest = useRef(keys);
  newest.current = keys; // what a key does is as new as the picture
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const act = newest.current[event.key];
      const typing =
        event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
      if (!act || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === " " && event.target instanceof HTMLButtonElement) return;
      event.preventDefault();
      act(event.shiftKey);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}

type ChoiceProps = {
  options: [string, number][];
  value: number;
  disabled?: boolean;
  onChoose: (value: number) => void;
};

function Choice({ options, value, disabled, onChoose }: ChoiceProps) {
  return (
    <span class="choice" role="group">
      {options.map(([name, option]) => (
        <button
          key={name}
          disabled={disabled}
          aria-pressed={Math.abs(option - value) < 1}
          onClick={() => onChoose(option)}
        >
          {name}
        </button>
      ))}
    </span>
  );
}

/** The exact picture under the pointer; one is asked for at a time. */
function Scrub({ id, at }: { id: string; at: number }) {
  const [shown, setShown] = useState<string | null>(null);
  const loading = useRef(false);
  const wanted = useRef(at);
  wanted.current = at;
  const load = () => {
    if (loading.current) return;
    loading.current = true;
    const asked = wanted.current;
    const image = new Image();
    const done = (url: string | null) => {
      loading.current = false;
      setShown(url);
      if (wanted.current !== asked) load();
    };
    image.onload = () => done(image.src);
    image.onerror = () => done(null);
    image.src = snapshotUrl(id, asked, 960);
  };
  useEffect(load, [at]);
  return (
    <div class="scrub">
      {shown ? <img src={shown} alt="" /> : <span>nothing recorded here</span>}
    </div>
  );
}

type PastProps = {
  id: string;
  at: number;
  speed: number;
  paused: boolean;
  onTime: (time: number) => void;
  onCaughtUp: () => void;
};

function PastVideo({ id, at, speed, paused, onTime, onCaughtUp }: PastProps) {
  const video = useRef<HTMLVideoElement>(null);
  const player = useRef<PastPlayer | null>(null);
  const [trouble, setTrouble] = useState("Loading…");

  useEffect(() => {
    const made = new PastPlayer(video.current!, id, at, {
      trouble: setTrouble,
      caughtUp: onCaughtUp,
    });
    player.current = made;
    const timer = setInterval(() => onTime(made.now), 200);
    return () => {
      clearInterval(timer);
      made.close();
    };
  }, [id]);
  useEffect(() => {
    if (player.current?.wanted !== at) player.current?.seek(at);
  }, [at]);
  useEffect(() => {
    const element = video.current!;
    const apply = () => {
      element.defaultPlaybackRate = element.playbackRate = speed;
      if (paused) element.pause();
      else void element.play().catch(() => undefined);
    };
    apply();
    element.addEventListener("loadedmetadata", apply);
    return () => element.removeEventListener("loadedmetadata", apply);
  }, [speed, paused]);

  return (
    <div class="picture">
      <video ref={video} muted playsInline data-testid="past" />
      {trouble && <div class="veil">{trouble}</div>}
    </div>
  );
}

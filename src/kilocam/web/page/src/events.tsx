// What was seen: newest first as it comes, what a search found, or what looks like one of them; each
// picture plays in place.
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Account } from "./analysis";
import { ApiError, Box, Shown, events, followEvents, search, similar } from "./api";
import { moment } from "./words";

const SETTLE_MS = 800; // several changes at once are one look
const TYPING_MS = 300;
const NO_FIELDS = ", or restrict it with 'from' and 'to'"; // the API's advice; here is one field

type Card = {
  id: string;
  camera: string;
  title: string;
  start: string;
  box: Box | null; // what was said has no place in the picture
  quote: string;
  description: string;
  author: string; // the model that wrote it
  picture: string;
  clip: string;
  likeness: number | null; // to the one that was asked about
};

type List = { cards: Card[]; more: string | null; unmatched: string[] };

async function newest(cursor: string | null): Promise<List> {
  const page = await events(cursor);
  const cards = page.items.map((seen) => card(seen.id, seen));
  return { cards, more: page.next_cursor, unmatched: [] };
}

async function found(query: string, signal: AbortSignal): Promise<List> {
  const answer = await search(query, signal);
  const cards = answer.items.map((hit) => card(hit.event_id, hit));
  return { cards, more: null, unmatched: answer.unmatched };
}

async function alike(id: string, signal: AbortSignal): Promise<List> {
  const answer = await similar(id, signal);
  const cards = answer.items.map((seen) => card(seen.id, seen, seen.likeness));
  return { cards, more: null, unmatched: [] };
}

const card = (id: string, shown: Shown, likeness: number | null = null): Card => ({
  id,
  camera: shown.camera,
  title: withoutPlace(shown.title, shown.camera),
  start: shown.start,
  box: shown.box[2] < 1 || shown.box[3] < 1 ? shown.box : null,
  quote: shown.text[0] ?? "",
  description: shown.description,
  author: shown.described_by,
  picture: shown.snapshot_url,
  clip: shown.clip_url,
  likeness,
});

/** The camera is named beside it. */
const withoutPlace = (title: string, camera: string): string =>
  title.endsWith(` at ${camera}`) ? title.slice(0, -` at ${camera}`.length) : title;

export function Events() {
  const [query, setQuery] = useState("");
  const [like, setLike] = useState<Card | null>(null); // what looks like it is shown
  const [list, setList] = useState<List | null>(null);
  const [trouble, setTrouble] = useState("");
  const [deeper, setDeeper] = useState(false); // older ones are shown: new ones must not push them
  const [playing, setPlaying] = useState(""); // an event: new ones must not push it or change its clip

  const chosen = !!like || !!query.trim(); // else the newest are shown, as they come
  const questions = useRef(0);
  const settled = useRef(0); // an answer to this question or one before it comes too late

  const show = useCallback((asked: Promise<List>) => {
    const question = ++questions.current;
    asked
      .then((next) => {
        if (question <= settled.current) return;
        settled.current = question;
        setList(next);
        setTrouble("");
      })
      .catch((error: ApiError | DOMException) => {
        if (error.name === "AbortError" || question <= settled.current) return;
        setTrouble(error.message.replace(NO_FIELDS, ""));
        // What was found before is no answer to a question that was refused.
        if (error instanceof ApiError && [404, 422].includes(error.status)) setList(null);
      });
  }, []);

  useEffect(() => {
    const words = query.trim();
    settled.current = questions.current;
    setDeeper(false);
    setPlaying("");
    if (!words && !like) {
      show(newest(null));
      return;
    }
    const controller = new AbortController();
    const ask = () =>
      show(like ? alike(like.id, controller.signal) : found(words, controller.signal));
    const timer = setTimeout(ask, like ? 0 : TYPING_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [query, like, show]);

  useEffect(() => {
    if (chosen || deeper || playing) return;
    let timer = 0;
    const stop = followEvents(() => {
      if (timer) return;
      timer = window.setTimeout(() => {
        timer = 0;
        show(newest(null));
      }, SETTLE_MS);
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [chosen, deeper, playing, show]);

  const play = (id: string) => {
    // A newer list that is on its way would change what plays; an answer asked for would not.
    if (!chosen && !deeper) settled.current = questions.current;
    setPlaying(id);
  };

  const older = () => {
    if (!list?.more) return;
    setDeeper(true);
    settled.current = questions.current;
    show(
      newest(list.more).then((next) => ({
        ...next,
        cards: [...list.cards, ...next.cards],
      })),
    );
  };

  return (
    <>
      <div class="bar">
        <input
          type="search"
          class="wide"
          aria-label="Search what was seen"
          placeholder="Search: person at gate last 10 minutes"
          value={query}
          onInput={(event) => {
            setLike(null);
            setQuery(event.currentTarget.value);
          }}
        />
        {!!list?.cards.length && !!list.unmatched.length && (
          <p class="unmatched">No result holds: {list.unmatched.join(", ")}</p>
        )}
      </div>
      {like && (
        <p class="bar" data-testid="like">
          Like {like.title} · {like.camera} · {moment(Date.parse(like.start))}
          <button onClick={() => setLike(null)}>Back</button>
        </p>
      )}
      {trouble && (
        <p class="trouble" role="alert">
          {trouble}
        </p>
      )}
      <Account />
      {!list && !trouble && <p class="note">Loading…</p>}
      {list && !list.cards.length && (
        <p class="note">
          {chosen ? "Nothing was found." : "No events yet. New ones appear here by themselves."}
        </p>
      )}
      <div class="wall" data-testid="event-list">
        {list?.cards.map((card) => (
          <EventCard
            key={card.id}
            card={card}
            playing={card.id === playing}
            play={play}
            findLike={setLike}
          />
        ))}
      </div>
      {list?.more && (
        <p class="bar more">
          <button onClick={older}>Show older ones</button>
        </p>
      )}
    </>
  );
}

type Playable = {
  card: Card;
  playing: boolean;
  play: (id: string) => void;
  findLike: (card: Card) => void;
};

function EventCard({ card, playing, play, findLike }: Playable) {
  const [come, setCome] = useState(false); // before, a box would be drawn on nothing
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    // With sound only because somebody asked for it; where it does not start, the controls do.
    if (playing) void video.current?.play().catch(() => undefined);
  }, [playing]);
  return (
    <article class="tile" data-testid="event">
      <div class="picture">
        {playing ? (
          <video
            ref={video}
            data-testid="clip"
            src={card.clip}
            muted={card.box !== null}
            controls
            playsInline
            onEnded={() => play("")}
            onError={() => play("")}
          />
        ) : (
          <button
            class={come ? "frame" : "frame awaited"}
            aria-label={`Play ${card.title}`}
            onClick={() => play(card.id)}
          >
            <img
              src={`${card.picture}&width=480`}
              alt={card.title}
              loading="lazy"
              onLoad={() => setCome(true)}
            />
            {come && card.box && <span class="box" style={place(card.box)} />}
            <span class="play" aria-hidden="true">
              ▶
            </span>
          </button>
        )}
      </div>
      <b class="title">{card.quote ? card.title.split(" ")[0] : card.title}</b>
      {card.quote && <Text text={card.quote} author="" />}
      {card.description && <Text text={card.description} author={card.author} />}
      <footer>
        <a href={`#/camera/${card.camera}?at=${card.start}`}>
          {card.camera} · {moment(Date.parse(card.start))}
        </a>
        {card.likeness !== null && (
          <span class="likeness" title="1: the same picture, 0: as unlike as any two">
            {card.likeness.toFixed(2)}
          </span>
        )}
        {!card.quote && (
          <button class="similar" title="What looks like it" onClick={() => findLike(card)}>
            Similar
          </button>
        )}
      </footer>
    </article>
  );
}

/** Three lines of what was said, read, or is told by a model; a longer text can be opened. */
function Text({ text, author }: { text: string; author: string }) {
  const [open, setOpen] = useState(false);
  const [long, setLong] = useState(false);
  const lines = useRef<HTMLParagraphElement>(null);
  // At once: an observer that still looks when the text is open would find it short.
  useLayoutEffect(() => {
    if (open) return;
    const observer = new ResizeObserver(() => {
      const { scrollHeight, clientHeight } = lines.current!;
      setLong(scrollHeight > clientHeight + 1);
    });
    observer.observe(lines.current!);
    return () => observer.disconnect();
  }, [open, text]);
  return (
    <div class="text">
      <p ref={lines} class={open ? "" : "short"}>
        {author ? text : <q>{text}</q>}
      </p>
      {(author || long) && (
        <div class="below">
          {author && <small>Described by {author} from one picture; it may be wrong</small>}
          {long && (
            <button aria-expanded={open} onClick={() => setOpen(!open)}>
              {open ? "Less" : "More"}
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function place([x, y, width, height]: Box): Record<string, string> {
  const share = (part: number) => `${100 * part}%`;
  return { left: share(x), top: share(y), width: share(width), height: share(height) };
}

import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, Camera, cameras, signIn, signOut, status } from "./api";
import { CameraView } from "./camera";
import { Events } from "./events";
import { well } from "./picture";
import { Wall } from "./wall";
import "./style.css";

const STATES_MS = 3000;
const LIST_EVERY = 10; // the whole list with every tenth look at the states

type Fleet = { cameras: Camera[] | null; trouble: ApiError | null };

/** The cameras and how they are; goes on with what recorders say while the database is away. */
function useFleet(): Fleet {
  const [fleet, setFleet] = useState<Fleet>({ cameras: null, trouble: null });
  useEffect(() => {
    let ids: string[] | null = null;
    let looks = 0;
    let timer = 0;
    let gone = false;
    const look = async () => {
      let trouble: ApiError | null = null;
      let listed: Camera[] = [];
      try {
        if (looks++ % LIST_EVERY === 0 || ids === null) {
          listed = await cameras();
          ids = listed.map((camera) => camera.id);
        }
      } catch (error) {
        trouble = error as ApiError;
      }
      try {
        const known = new Map(listed.map((camera) => [camera.id, camera]));
        for (const camera of await status()) known.set(camera.id, camera);
        const shown = (ids ?? [...known.keys()]).flatMap((id) => known.get(id) ?? unknown(id));
        if (!gone) setFleet({ cameras: shown, trouble });
      } catch (error) {
        if (!gone) setFleet((was) => ({ cameras: was.cameras, trouble: error as ApiError }));
      }
      if (!gone) timer = window.setTimeout(look, document.hidden ? 5 * STATES_MS : STATES_MS);
    };
    void look();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, []);
  return fleet;
}

const unknown = (id: string): Camera => ({
  id,
  status: {
    state: "unknown",
    since: null,
    reason: "no recorder has reported it yet",
    bitrate_bps: 0,
    fps: 0,
    last_packet_at: null,
  },
});

function App() {
  const [route, setRoute] = useState(location.hash);
  const [query, setQuery] = useState("");
  const search = useRef<HTMLInputElement>(null);
  const { cameras: found, trouble } = useFleet();

  useEffect(() => {
    const moved = () => setRoute(location.hash);
    const pressed = (event: KeyboardEvent) => {
      if (event.key !== "/" || event.target instanceof HTMLInputElement) return;
      event.preventDefault();
      search.current?.focus();
    };
    addEventListener("hashchange", moved);
    moved(); // the address may have changed between the first picture and this line
    addEventListener("keydown", pressed);
    return () => {
      removeEventListener("hashchange", moved);
      removeEventListener("keydown", pressed);
    };
  }, []);

  if (trouble?.status === 401) return <SignIn refused={route === "#/link-refused"} />;
  const [, chosen, at] = /^#\/camera\/([a-z0-9_-]+)(?:\?at=(.+))?/.exec(route) ?? [];
  const onEvents = route.startsWith("#/events");
  const ill = found?.filter((camera) => !well(camera)).length ?? 0;
  return (
    <>
      <header>
        <a href="#/" class="brand">
          <svg viewBox="0 0 24 24" aria-hidden="true">
            <circle cx="12" cy="12" r="9" />
            <circle cx="12" cy="12" r="3.5" />
          </svg>
          Kilocam
        </a>
        <nav>
          <a href="#/" class={onEvents ? "" : "here"}>
            Cameras
          </a>
          <a href="#/events" class={onEvents ? "here" : ""} data-testid="events">
            Events
          </a>
        </nav>
        {found && (
          <span class="dim" data-testid="summary">
            {found.length - ill} of {found.length} cameras recording
          </span>
        )}
        {trouble && (
          <span class="trouble" role="alert">
            {trouble.message}
          </span>
        )}
        <span class="spread" />
        {!chosen && !onEvents && (found?.length ?? 0) > 1 && (
          <input
            ref={search}
            type="search"
            placeholder="Find a camera  /"
            value={query}
            onInput={(event) => setQuery(event.currentTarget.value)}
          />
        )}
        <button class="quiet" onClick={() => void signOut().then(() => location.reload())}>
          Sign out
        </button>
      </header>
      <main>
        {onEvents ? (
          <Events />
        ) : chosen ? (
          <CameraView
            key={route}
            id={chosen}
            camera={found?.find((c) => c.id === chosen)}
            start={at ? Date.parse(at) : NaN}
          />
        ) : (
          <Wall cameras={found} query={query} />
        )}
      </main>
    </>
  );
}

function SignIn({ refused }: { refused: boolean }) {
  const [link, setLink] = useState("");
  const [trouble, setTrouble] = useState(
    refused ? "That link was used already, or has expired." : "",
  );
  const submit = (event: Event) => {
    event.preventDefault();
    const secret = /[?&]link=([^&\s]+)/.exec(link)?.[1] ?? link.trim();
    signIn(secret)
      .then(() => location.replace("/"))
      .catch((error: Error) => setTrouble(error.message));
  };
  return (
    <form class="note sign-in" onSubmit={submit}>
      <h1>Sign in to Kilocam</h1>
      <p>Open the one-time link that the server printed when it started, or paste it here.</p>
      <div class="bar">
        <input
          autofocus
          aria-label="One-time link"
          placeholder="http://…/v1/session/link?link=…"
          value={link}
          onInput={(event) => setLink(event.currentTarget.value)}
        />
        <button disabled={!link.trim()}>Sign in</button>
      </div>
      {trouble && (
        <p class="trouble" role="alert">
          {trouble} Restart Kilocam for a new link.
        </p>
      )}
    </form>
  );
}

render(<App />, document.getElementById("app")!);

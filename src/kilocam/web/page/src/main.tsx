import { render } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { signOut } from "./api";
import { Brand } from "./brand";
import { CameraView } from "./camera";
import { Events } from "./events";
import { useFleet } from "./fleet";
import { SignIn } from "./signin";
import { Wall } from "./wall";
import "./style.css";

const isWall = (route: string): boolean => !/^#\/(camera|events)/.test(route);

/** What the address names; the wall is found again where it was left. */
function useRoute(): string {
  const [route, setRoute] = useState(location.hash);
  const wallAt = useRef(0);
  useEffect(() => {
    let before = location.hash;
    const moved = () => {
      if (isWall(before)) wallAt.current = scrollY;
      before = location.hash;
      setRoute(before);
    };
    addEventListener("hashchange", moved);
    setRoute(before); // it may have changed between the first picture and this line
    return () => removeEventListener("hashchange", moved);
  }, []);
  useLayoutEffect(() => scrollTo(0, isWall(route) ? wallAt.current : 0), [route]);
  return route;
}

function App() {
  const route = useRoute();
  const { cameras, trouble, signedOut } = useFleet();

  if (signedOut) return <SignIn refused={route === "#/link-refused"} />;
  const [, chosen, at] = /^#\/camera\/([a-z0-9_-]+)(?:\?at=(.+))?/.exec(route) ?? [];
  const onEvents = route.startsWith("#/events");
  return (
    <>
      <header>
        <Brand />
        <nav>
          <a href="#/" class={onEvents ? "" : "here"}>
            Cameras
          </a>
          <a href="#/events" class={onEvents ? "here" : ""} data-testid="events">
            Events
          </a>
        </nav>
        <span class="spread" />
        <button class="quiet" onClick={() => void leave()}>
          Sign out
        </button>
      </header>
      {trouble && (
        <p class="trouble banner" role="alert">
          {trouble.message}
        </p>
      )}
      <main>
        {onEvents ? (
          <Events />
        ) : chosen ? (
          <CameraView
            key={route}
            id={chosen}
            camera={cameras?.find((c) => c.id === chosen)}
            listed={cameras !== null}
            start={at ? Date.parse(at) : NaN}
          />
        ) : (
          <Wall cameras={cameras} />
        )}
      </main>
    </>
  );
}

async function leave(): Promise<void> {
  try {
    await signOut();
  } catch (error) {
    alert(`Not signed out: ${(error as Error).message}`);
    return;
  }
  location.hash = "#/";
  location.reload();
}

render(<App />, document.getElementById("app")!);

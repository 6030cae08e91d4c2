// The cameras and how they are; goes on with what recorders say while the database is away.
import { useEffect, useState } from "preact/hooks";
import { ApiError, Camera, cameras, status } from "./api";

const STATES_MS = 3000;
const MANY = 200; // of more cameras the states are some 40 kB for each 200, so they are asked less
const LIST_MS = 30_000;

export type Fleet = { cameras: Camera[] | null; trouble: ApiError | null; signedOut: boolean };

export function useFleet(): Fleet {
  const [fleet, setFleet] = useState<Fleet>({ cameras: null, trouble: null, signedOut: false });
  useEffect(() => {
    let ids: string[] | null = null;
    let listedAt = 0;
    let timer = 0;
    let gone = false;
    const failed = (trouble: ApiError) =>
      setFleet((was) => ({
        cameras: was.cameras,
        trouble,
        // A server that does not answer signs nobody in or out.
        signedOut: trouble.status === 401 || (was.signedOut && trouble.status === 0),
      }));
    const look = async () => {
      let trouble: ApiError | null = null;
      let listed: Camera[] = [];
      try {
        if (ids === null || performance.now() - listedAt >= LIST_MS) {
          listed = await cameras();
          listedAt = performance.now();
          ids = listed.map((camera) => camera.id);
        }
      } catch (error) {
        trouble = error as ApiError;
      }
      try {
        const known = new Map(listed.map((camera) => [camera.id, camera]));
        for (const camera of await status()) known.set(camera.id, camera);
        const shown = (ids ?? [...known.keys()]).map((id) => known.get(id) ?? unknown(id));
        if (!gone) setFleet({ cameras: shown, trouble, signedOut: trouble?.status === 401 });
      } catch (error) {
        if (!gone) failed(error as ApiError);
      }
      const rarely = (ids?.length ?? 0) > MANY || document.hidden;
      if (!gone) timer = window.setTimeout(look, rarely ? 4 * STATES_MS : STATES_MS);
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

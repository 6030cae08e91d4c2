// A live picture, and how a camera is.
import { useEffect, useRef, useState } from "preact/hooks";
import { Camera, liveUrl } from "./api";
import { LivePlayer } from "./live";
import { rate, words } from "./words";

type Live = { id: string; onPlaying?: (playing: boolean) => void };

export function LiveVideo({ id, onPlaying }: Live) {
  const video = useRef<HTMLVideoElement>(null);
  const [trouble, setTrouble] = useState("Connecting…");
  useEffect(() => {
    const player = new LivePlayer(video.current!, liveUrl(id), setTrouble);
    return () => player.close();
  }, [id]);
  useEffect(() => {
    onPlaying?.(!trouble);
    return () => onPlaying?.(false);
  }, [trouble, onPlaying]);
  return (
    <div class="picture">
      <video ref={video} muted autoplay playsInline data-testid={`live-${id}`} />
      {trouble && <div class="veil">{trouble}</div>}
    </div>
  );
}

/** The place of a picture that is not there, and why. */
export function Still({ text }: { text: string }) {
  return <div class="picture">{text && <div class="veil">{text}</div>}</div>;
}

export const well = (camera: Camera): boolean => camera.status.state === "recording";

export const reasonOf = ({ status }: Camera): string => status.reason || `${words(status.state)}…`;

export function State({ camera }: { camera: Camera | undefined }) {
  if (!camera) return null;
  const { status } = camera;
  const text = well(camera)
    ? `${rate(status.bitrate_bps)} · ${Math.round(status.fps)} fps`
    : words(status.state);
  const mood = well(camera) ? "good" : status.reason ? "bad" : "";
  return (
    <span class={`state ${mood}`} title={well(camera) ? text : reasonOf(camera)}>
      <i />
      {text}
    </span>
  );
}

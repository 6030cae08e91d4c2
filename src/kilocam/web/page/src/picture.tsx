// A live picture, and how a camera is.
import { useEffect, useRef, useState } from "preact/hooks";
import { Camera, liveUrl } from "./api";
import { LivePlayer } from "./live";
import { rate, words } from "./words";

export function LiveVideo({ id }: { id: string }) {
  const video = useRef<HTMLVideoElement>(null);
  const [trouble, setTrouble] = useState("Connecting…");
  useEffect(() => {
    const player = new LivePlayer(video.current!, liveUrl(id), setTrouble);
    return () => player.close();
  }, [id]);
  return (
    <div class="picture">
      <video ref={video} muted autoplay playsInline data-testid={`live-${id}`} />
      {trouble && <div class="veil">{trouble}</div>}
    </div>
  );
}

export const well = (camera: Camera): boolean => camera.status.state === "recording";

export function State({ camera }: { camera: Camera | undefined }) {
  if (!camera) return null;
  const { status } = camera;
  const text = well(camera)
    ? `${rate(status.bitrate_bps)} · ${Math.round(status.fps)} fps`
    : status.reason || words(status.state);
  return (
    <span class={`state ${well(camera) ? "good" : "bad"}`} title={text}>
      <i />
      {text}
    </span>
  );
}

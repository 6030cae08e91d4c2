// Footage of the past through hls.js. The playlist carries wall times, so every picture knows its
// moment; gaps take no playing time.
import Hls, { Fragment, LevelDetails } from "hls.js/light";
import { footage, playlistUrl } from "./api";
import { localTimes } from "./words";

const BEFORE_MS = 60_000; // loaded before the moment, so that a step back needs no new playlist
const AFTER_MS = 1_200_000;
const LEAST_MS = 1000; // less than this after the last segment is its own last picture
const LOOK_AHEAD_MS = 6 * 86_400_000;
const HAVE_PICTURE = 2; // HTMLMediaElement.HAVE_CURRENT_DATA

export type PastReport = { trouble: (text: string) => void; caughtUp: () => void };

export class PastPlayer {
  private readonly gone = new AbortController();
  private hls: Hls | null = null;
  private details: LevelDetails | null = null;
  private until = 0;
  private start = 0; // media time of what was last asked for
  wanted: number; // the moment last asked for

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly camera: string,
    at: number,
    private readonly report: PastReport,
  ) {
    this.wanted = at;
    video.addEventListener("ended", this.goOn);
    video.requestVideoFrameCallback(this.appeared);
    this.load(at);
  }

  /** Show the picture of a moment, or of the first one after it that exists. */
  seek(at: number): void {
    this.wanted = at;
    const fragments = this.details?.fragments ?? [];
    const first = fragments[0];
    const last = fragments[fragments.length - 1];
    if (first && last && started(first) <= at && at < ended(last))
      this.video.currentTime = this.start = mediaTime(fragments, at);
    else this.load(at);
  }

  /** Wall time of the picture shown, in ms. */
  get now(): number {
    const { currentTime, readyState, seeking } = this.video;
    const there = readyState >= HAVE_PICTURE && !seeking && currentTime > this.start - 0.5;
    return (there && this.wallTime(currentTime)) || this.wanted;
  }

  private wallTime(time: number): number | null {
    const fragments = this.details?.fragments ?? [];
    const shown =
      fragments.find((f) => f.start <= time && time < f.start + f.duration) ??
      fragments[fragments.length - 1]; // at the very end
    return shown ? started(shown) + (time - shown.start) * 1000 : null;
  }

  /** Notes the moment of each picture at the video as it appears, for whoever takes it. */
  private readonly appeared = (_: number, picture: VideoFrameCallbackMetadata): void => {
    this.video.dataset.now = String(Math.round(this.wallTime(picture.mediaTime) ?? this.wanted));
    if (!this.gone.signal.aborted) this.video.requestVideoFrameCallback(this.appeared);
  };

  close(): void {
    this.video.removeEventListener("ended", this.goOn);
    this.gone.abort();
    this.hls?.destroy();
    this.hls = null;
  }

  private load(at: number): void {
    this.hls?.destroy();
    this.details = null;
    this.until = at + AFTER_MS;
    const hls = new Hls({
      autoStartLoad: false,
      // Seconds of media: at 16 times the speed a minute lasts four seconds.
      maxBufferLength: 60,
      maxMaxBufferLength: 120,
      backBufferLength: 60,
      liveSyncDurationCount: 1,
    });
    this.hls = hls;
    hls.on(Hls.Events.LEVEL_LOADED, (_, data) => {
      const first = this.details === null;
      this.details = data.details;
      if (!first) return;
      this.start = mediaTime(data.details.fragments, at);
      hls.startLoad(this.start);
      this.report.trouble("");
    });
    hls.on(Hls.Events.ERROR, (_, data) => {
      if (!data.fatal) return;
      if (data.type === Hls.ErrorTypes.MEDIA_ERROR) return hls.recoverMediaError();
      hls.stopLoad();
      void this.explain(data.response?.code ?? 0);
    });
    hls.loadSource(playlistUrl(this.camera, at - BEFORE_MS, this.until));
    hls.attachMedia(this.video);
    void this.video.play().catch(() => undefined);
  }

  private async explain(status: number): Promise<void> {
    const url = playlistUrl(this.camera, this.wanted, this.until);
    const problem = status ? await fetch(url).then((a) => a.json()).catch(() => null) : null;
    const told: string = problem?.detail ?? "The footage cannot be loaded; is the server there?";
    this.report.trouble(localTimes(told));
  }

  /** The playlist is over: on with what is recorded next, or live when that is now. */
  private readonly goOn = async (): Promise<void> => {
    const { until, details } = this;
    if (until >= Date.now()) return this.report.caughtUp();
    const last = details?.fragments[details.fragments.length - 1];
    const from = last ? ended(last) : until; // the last segment may reach beyond the range
    const upTo = Math.min(Date.now(), from + LOOK_AHEAD_MS);
    const next = await footage(this.camera, from, upTo, this.gone.signal).catch(() => null);
    if (!next || this.until !== until) return;
    const range = next.ranges.find(({ end }) => Date.parse(end) > from + LEAST_MS);
    if (!range) return this.report.trouble("Nothing is recorded after this picture");
    this.wanted = Math.max(from, Date.parse(range.start));
    this.load(this.wanted);
  };
}

const started = (fragment: Fragment): number => fragment.programDateTime ?? 0;
const ended = (fragment: Fragment): number => started(fragment) + fragment.duration * 1000;

function mediaTime(fragments: Fragment[], at: number): number {
  const target = fragments.find((f) => ended(f) > at) ?? fragments[fragments.length - 1];
  if (!target) return 0;
  const inside = Math.min(Math.max(0, at - started(target)) / 1000, target.duration - 0.01);
  return target.start + inside;
}

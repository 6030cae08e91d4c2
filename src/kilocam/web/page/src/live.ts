// Live pictures: fragmented MP4 over a WebSocket into a MediaSource. A JSON message begins a stream
// of some MIME type, every other one is media; {"detail": …} says why there is no picture.

const KEEP_S = 15;
const FAR_S = 1.5; // further behind the newest picture than this: jump
const NEAR_S = 0.6; // further behind than this: play a little faster
const RETRY_MS = 2000;
const RETRY_MOST_MS = 15_000; // whoever is refused for long asks seldom
const HIDDEN_MS = 10_000;
const QUEUE = 400;

export class LivePlayer {
  private socket: WebSocket | null = null;
  private source: MediaSource | null = null;
  private buffer: SourceBuffer | null = null;
  private queue: ArrayBuffer[] = [];
  private retry = 0;
  private wait = RETRY_MS;
  private hidden = 0;
  private closed = false;
  private readonly shownOrHidden = () => this.follow(!document.hidden);

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly url: string,
    private readonly say: (trouble: string) => void,
  ) {
    document.addEventListener("visibilitychange", this.shownOrHidden);
    video.addEventListener("waiting", this.catchUp);
    this.connect();
  }

  close(): void {
    this.closed = true;
    document.removeEventListener("visibilitychange", this.shownOrHidden);
    this.video.removeEventListener("waiting", this.catchUp);
    clearTimeout(this.hidden);
    this.disconnect();
    this.video.removeAttribute("src");
    this.video.load();
  }

  /** A tab nobody sees takes no pictures. */
  private follow(visible: boolean): void {
    clearTimeout(this.hidden);
    if (!visible) this.hidden = window.setTimeout(() => this.disconnect(), HIDDEN_MS);
    else if (this.socket) this.catchUp();
    else this.connect();
  }

  private disconnect(): void {
    clearTimeout(this.retry);
    const { socket } = this;
    this.socket = null;
    socket?.close();
  }

  private connect(): void {
    this.disconnect(); // one socket at a time: a retry that waits would open a second
    const socket = new WebSocket(this.url);
    let told = "";
    socket.binaryType = "arraybuffer";
    socket.onmessage = (message) => {
      if (this.socket !== socket) return;
      if (typeof message.data !== "string") return this.append(message.data as ArrayBuffer);
      const first = JSON.parse(message.data) as { mime?: string; detail?: string };
      if (first.mime) this.begin(first.mime);
      else told = first.detail ?? "";
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.say(told || "No live picture; trying again");
      this.retry = window.setTimeout(() => this.connect(), this.wait);
      this.wait = Math.min(RETRY_MOST_MS, 1.5 * this.wait);
    };
    this.socket = socket;
  }

  private begin(mime: string): void {
    this.wait = RETRY_MS;
    this.queue = [];
    this.buffer = null;
    if (!MediaSource.isTypeSupported(mime)) {
      this.say(`This browser cannot play ${mime}`);
      this.disconnect();
      return;
    }
    const source = new MediaSource();
    this.source = source;
    this.video.src = URL.createObjectURL(source);
    source.addEventListener("sourceopen", () => {
      URL.revokeObjectURL(this.video.src);
      if (this.source !== source || this.closed) return;
      const buffer = source.addSourceBuffer(mime);
      buffer.addEventListener("updateend", () => this.pump());
      this.buffer = buffer;
      this.pump();
    });
    void this.video.play().catch(() => undefined); // muted video may; if not, a click does it
  }

  private append(data: ArrayBuffer): void {
    if (this.queue.length > QUEUE) {
      // Nobody fed the buffer for long: begin anew at the newest picture.
      this.connect();
      return;
    }
    this.queue.push(data);
    this.pump();
  }

  private pump(): void {
    const { buffer } = this;
    if (!buffer || buffer.updating || this.source?.readyState !== "open") return;
    this.catchUp();
    if (buffer.buffered.length) {
      const start = buffer.buffered.start(0);
      const end = buffer.buffered.end(buffer.buffered.length - 1);
      if (end - start > 2 * KEEP_S) return buffer.remove(start, end - KEEP_S);
    }
    const next = this.queue.shift();
    if (!next) return;
    try {
      buffer.appendBuffer(next);
    } catch {
      this.socket?.close(); // the buffer is beyond use: connect anew
    }
  }

  /** Stay close to the newest picture: a little faster when late, a jump when far behind. */
  private readonly catchUp = (): void => {
    const { video, buffer } = this;
    if (!buffer?.buffered.length) return;
    const last = buffer.buffered.length - 1;
    const start = buffer.buffered.start(last);
    const behind = buffer.buffered.end(last) - video.currentTime;
    if (behind > FAR_S || video.currentTime < start)
      video.currentTime = Math.max(start, buffer.buffered.end(last) - 0.15);
    video.playbackRate = behind > NEAR_S ? 1.15 : 1;
    if (video.paused) void video.play().catch(() => undefined);
    this.say("");
  };
}

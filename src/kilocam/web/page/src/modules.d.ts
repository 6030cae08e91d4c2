declare module "*.css";
// The light build leaves out what our playlists never have: subtitles, DRM, other languages.
declare module "hls.js/light" {
  export * from "hls.js";
  export { default } from "hls.js";
}

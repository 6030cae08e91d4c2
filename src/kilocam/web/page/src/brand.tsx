// The mark and the name.
export function Brand() {
  return (
    <a href="#/" class="brand">
      <svg viewBox="0 0 24 24" aria-hidden="true">
        <circle cx="12" cy="12" r="9" />
        <circle cx="12" cy="12" r="3.5" />
      </svg>
      Kilocam
    </a>
  );
}

// How much was looked at, what was not and why; stage by stage, and what the gate misses by its audit.
import { useEffect, useState } from "preact/hooks";
import { Analysis, ApiError, Stage, analysis } from "./api";

const AGAIN_MS = 60_000;
const STAGES: Record<string, string> = {
  gate: "Gate: packet headers",
  decode: "Decoder",
  difference: "Difference from the background",
  detector: "Detector",
  whole: "Detector, rest of the window",
  tiles: "Detector, enlarged parts",
  audit: "Audit of what the gate passed over",
};

const WHY_NOT: Record<string, string> = {
  quiet: "as nothing seemed to move",
  overload: "for lack of time",
  too_old: "as they came too late",
  codec: "as their video format cannot be read",
  unreadable: "as their pictures cannot be read",
  failed: "as looking at them failed",
  refused: "as the database did not take what was found",
};

const many = (count: number): string => count.toLocaleString("en");
const percent = (share: number): string =>
  `${(100 * share).toFixed(share < 0.0995 && share > 0 ? 1 : 0)} %`;

export function Account() {
  const [open, setOpen] = useState(false);
  const [camera, setCamera] = useState("");
  const [cameras, setCameras] = useState<string[]>([]);
  const [shown, setShown] = useState<Analysis | null>(null);
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    const controller = new AbortController();
    let timer = 0;
    const look = async () => {
      try {
        const next = await analysis(camera, controller.signal);
        setShown(next);
        setTrouble("");
        if (!camera) setCameras(next.cameras.map((each) => each.camera));
      } catch (error) {
        if (controller.signal.aborted) return;
        setTrouble((error as ApiError).message);
      }
      timer = window.setTimeout(look, AGAIN_MS);
    };
    void look();
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [camera, open]);

  if (!shown)
    return trouble ? <p class="account trouble">How much was looked at: {trouble}</p> : null;
  const problem = problemOf(shown);
  return (
    <>
      {problem && (
        <p class="trouble" role="status" data-testid="unseen">
          {problem}
        </p>
      )}
      <details
        class="account"
        data-testid="analysis"
        open={open}
        onToggle={(event) => setOpen(event.currentTarget.open)}
      >
        <summary>{lookedWords(shown)}</summary>
        {trouble && <p class="trouble">{trouble}</p>}
        <p data-testid="missed">{missedWords(shown)}</p>
        <label>
          Of{" "}
          <select value={camera} onChange={(event) => setCamera(event.currentTarget.value)}>
            <option value="">all cameras</option>
            {cameras.map((id) => (
              <option key={id}>{id}</option>
            ))}
          </select>
        </label>
        <table>
          <thead>
            <tr>
              <th>Stage</th>
              <th>Seen</th>
              <th>Passed on</th>
              <th>Share</th>
              <th>Cost of one</th>
            </tr>
          </thead>
          <tbody>
            {shown.cascade.stages.map((stage) => (
              <StageRow key={stage.name} stage={stage} />
            ))}
          </tbody>
        </table>
      </details>
    </>
  );
}

const StageRow = ({ stage }: { stage: Stage }) => (
  <tr data-testid={`stage-${stage.name}`}>
    <th scope="row">{STAGES[stage.name] ?? stage.name}</th>
    <td>{many(stage.seen)}</td>
    <td>{many(stage.passed)}</td>
    <td>{stage.share === null ? "" : percent(stage.share)}</td>
    <td>{stage.cost_ms === null ? "" : `${stage.cost_ms.toFixed(1)} ms`}</td>
  </tr>
);

/** When most of what should have been looked at was not. What is quiet need not be. */
function problemOf({ offered, looked, skipped }: Analysis): string {
  if (2 * looked >= offered - (skipped.quiet ?? 0)) return "";
  return looked
    ? "Most footage that should have been looked at in the last 24 hours was not: events are missing."
    : "No footage of the last 24 hours was looked at: events are missing.";
}

function lookedWords({ offered, looked, skipped }: Analysis): string {
  if (!offered) return "In the last 24 hours there was nothing to look at.";
  const not = Object.entries(skipped)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, count]) => `${many(count)} ${WHY_NOT[reason] ?? reason}`);
  return (
    `In the last 24 hours ${many(looked)} of ${many(offered)} short pieces of footage were looked at.` +
    (not.length ? ` Passed over: ${not.join(", ")}.` : "")
  );
}

/** What moves unseen, by the sample of what was passed over as quiet. */
function missedWords({ skipped, cascade }: Analysis): string {
  const { audited, low, high } = cascade.missed;
  if (!audited && !skipped.quiet) return "";
  const found = audited
    ? `something did in ${percent(low)} to ${percent(high)} of them (95 % sure, ${many(audited)} checked).`
    : "none was checked yet.";
  return `Spot checks of those in which nothing seemed to move: ${found}`;
}

// How much was looked at, stage by stage, and what the gate misses, by its audit.
import { useEffect, useState } from "preact/hooks";
import { Analysis, ApiError, Missed, Stage, analysis } from "./api";

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
  return (
    <details
      class="account"
      data-testid="analysis"
      open={open}
      onToggle={(event) => setOpen(event.currentTarget.open)}
    >
      <summary>
        Looked at {many(shown.looked)} of {many(shown.offered)} windows in the last 24 hours.{" "}
        <span data-testid="missed">{missedWords(shown.cascade.missed)}</span>
      </summary>
      {trouble && <p class="trouble">{trouble}</p>}
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

function missedWords({ audited, low, high }: Missed): string {
  if (!audited) return "What moves in those passed over is not known: none was audited yet.";
  return (
    `Something moves in ${percent(low)} to ${percent(high)} of those passed over as quiet` +
    ` (95 % sure, ${many(audited)} audited).`
  );
}

// The way in: an API token or a one-time link, in one field.
import { useState } from "preact/hooks";
import { ApiError, signIn } from "./api";
import { Brand } from "./brand";

export function SignIn({ refused }: { refused: boolean }) {
  const [secret, setSecret] = useState("");
  const [trying, setTrying] = useState(false);
  const [trouble, setTrouble] = useState(
    refused ? "That sign-in link was used already, or has expired. Take a new one, or a token." : "",
  );
  const submit = (event: Event) => {
    event.preventDefault();
    const text = secret.trim();
    const link = /[?&]link=([^&\s]+)/.exec(text)?.[1] ?? (text.startsWith("kcs.") ? text : null);
    setTrying(true);
    signIn(link ? { link } : { token: text })
      .then(() => {
        if (refused) location.hash = "#/";
        location.reload();
      })
      .catch((error: ApiError) => {
        setTrying(false);
        setTrouble(
          error.status ? sentence(error.message) : "The server does not answer; try again in a moment.",
        );
      });
  };
  return (
    <form class="sign-in" onSubmit={submit}>
      <Brand />
      <h1>Sign in to Kilocam</h1>
      {trouble && (
        <p class="trouble" role="alert">
          {trouble}
        </p>
      )}
      <label>
        API token or sign-in link
        <input
          type="password"
          name="token"
          autocomplete="current-password"
          autofocus
          spellcheck={false}
          placeholder="kct.…"
          value={secret}
          onInput={(event) => setSecret(event.currentTarget.value)}
        />
      </label>
      <button class="main" disabled={!secret.trim() || trying}>
        Sign in
      </button>
      <dl>
        <dt>A fresh link, good once and for 10 minutes</dt>
        <dd>
          <code>kilocam link</code> on the server
        </dd>
        <dt>The administrator’s token</dt>
        <dd>
          the file <code>admin-token</code> in the server’s data directory
        </dd>
        <dt>A token for somebody else</dt>
        <dd>
          <code>kilocam token create --role viewer</code>
        </dd>
      </dl>
    </form>
  );
}

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

// The live stream: server-sent events read with fetch, since an EventSource can send no token.
// It is closed while nobody sees the page, and comes back by itself.

const SILENCE = 15_000; // ms; the server gives a sign of life every 5 s
const LONGEST_PAUSE = 5_000; // ms between two attempts
const HIDDEN_FOR = 5_000; // ms after which a hidden page stops listening

/** Follow the server. `tell` gets (event, data); `state` gets "live", "lost", "locked" or "away". */
export class Stream {
  constructor({ tell, state, headers }) {
    this.tell = tell;
    this.state = state;
    this.headers = headers;
    this.conversation = null;
    this.round = 0;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(this.leaving);
      if (!document.hidden) {
        if (this.away) this.begin();
      } else this.leaving = setTimeout(() => this.leave(), HIDDEN_FOR);
    });
  }

  /** Connect, anew if it is connected: also after the conversation or the token has changed. */
  begin() {
    this.away = false;
    this.abort?.abort();
    void this.run(++this.round);
  }

  /** Look at a conversation closely, null for none. */
  follow(conversation) {
    if (conversation === this.conversation) return;
    this.conversation = conversation;
    this.begin();
  }

  leave() {
    this.away = true;
    this.round++;
    this.abort?.abort();
    this.state("away");
  }

  async run(round) {
    let pause = 500;
    while (round === this.round) {
      try {
        await this.listen(round, () => (pause = 500));
      } catch (error) {
        if (round !== this.round) return;
        if (error instanceof Locked) return this.state("locked");
      }
      if (round !== this.round) return;
      this.state("lost");
      await new Promise((wake) => setTimeout(wake, pause));
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    }
  }

  async listen(round, heard) {
    const abort = (this.abort = new AbortController());
    const where = new URL("api/live", document.baseURI);
    // As JSON: half of a surrogate pair can't stand in an address.
    if (this.conversation !== null)
      where.searchParams.set("conversation", JSON.stringify(this.conversation));
    let silence = setTimeout(() => abort.abort(), SILENCE);
    try {
      const answer = await fetch(where, {
        headers: this.headers(),
        cache: "no-store",
        redirect: "error",
        signal: abort.signal,
      });
      if (answer.status === 401) throw new Locked();
      if (!answer.ok) throw new Error(await answer.text());
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done || round !== this.round) return;
        clearTimeout(silence);
        silence = setTimeout(() => abort.abort(), SILENCE);
        const events = (text + value).split("\n\n");
        text = events.pop();
        heard();
        for (const event of events) this.dispatch(event);
      }
    } finally {
      clearTimeout(silence);
      abort.abort(); // whatever is left of it
    }
  }

  dispatch(event) {
    const found = /^event: (\w+)\ndata: (.*)$/.exec(event);
    if (!found) return;
    this.state("live");
    this.tell(found[1], JSON.parse(found[2]));
  }
}

class Locked extends Error {}

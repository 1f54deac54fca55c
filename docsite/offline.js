// The search runs in a worker, which browsers refuse to a page that is opened as a file: a hidden frame stands in for it.
if (location.protocol === "file:") window.Worker = class extends EventTarget {
  constructor(url) {
    super();
    this.frame = document.createElement("iframe");
    this.frame.hidden = true;
    document.documentElement.append(this.frame);
    const inside = this.frame.contentWindow, script = inside.document.createElement("script");
    inside.postMessage = data => {
      const message = new MessageEvent("message", {data});
      this.dispatchEvent(message);
      this.onmessage?.(message);
    };
    this.ready = new Promise(resolve => { script.onload = resolve; });
    script.src = new URL(url, location.href);
    inside.document.head.append(script);
  }

  postMessage(data) {
    this.ready.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", {data})));
  }

  terminate() {
    this.frame.remove();
  }
};

// A hum from the microphone: PCM, block after block, until it is over.
import { levelOf, pitchOf } from "/pitch.js";

export const LONGEST_S = 15;
export const SHORTEST_S = 2;
const SILENT_S = 2; // after a hum, which end it
const SILENT = 0.006; // of full scale; and
const QUIET = 0.08; // of the loudest block so far

export class Recording {
  blocks = [];
  line = []; // [[second, MIDI pitch or null]], for the eye
  loudest = 0;
  heardUntil = 0;
  over = false;

  // told: called with each block's level; ended: called once, when it stops by itself.
  constructor(told, ended) { this.told = told; this.ended = ended; }

  // Throws what getUserMedia does.
  async start() {
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: plain });
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule("/recorder.js");
    this.node = new AudioWorkletNode(this.context, "recorder");
    this.context.createMediaStreamSource(this.stream).connect(this.node);
    this.node.port.onmessage = (event) => this.take(event.data);
  }

  get seconds() { return this.blocks.reduce((sum, block) => sum + block.length, 0) / this.context.sampleRate; }

  get heard() { return this.loudest > SILENT; }

  take(block) {
    if (this.over) return;
    this.blocks.push(block);
    const { seconds } = this;
    const level = levelOf(block);
    const sung = level > Math.max(SILENT, QUIET * this.loudest);
    this.loudest = Math.max(this.loudest, level);
    this.line.push([seconds, sung ? pitchOf(block, this.context.sampleRate) : null]);
    if (sung) this.heardUntil = seconds;
    this.told(level);
    if (seconds >= LONGEST_S || (this.heard && seconds - this.heardUntil > SILENT_S)) this.ended();
  }

  stop() {
    this.over = true;
    this.stream?.getTracks().forEach((track) => track.stop());
    this.context?.close();
  }

  // 16 bits, one channel.
  wav() {
    const count = this.blocks.reduce((sum, block) => sum + block.length, 0);
    const view = new DataView(new ArrayBuffer(44 + 2 * count));
    const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
    const rate = this.context.sampleRate;
    text(0, "RIFF"); view.setUint32(4, 36 + 2 * count, true); text(8, "WAVEfmt ");
    view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
    view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true); view.setUint16(32, 2, true); view.setUint16(34, 16, true);
    text(36, "data"); view.setUint32(40, 2 * count, true);
    let at = 44;
    for (const block of this.blocks) {
      for (const sample of block) { view.setInt16(at, Math.max(-1, Math.min(1, sample)) * 32767, true); at += 2; }
    }
    return new Blob([view], { type: "audio/wav" });
  }
}

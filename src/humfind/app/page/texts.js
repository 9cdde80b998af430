// What the page says. Another language is another entry, with the same names.

const EN = {
  library: "Library", ways: "Ways to find music", addFolder: "Add a folder", whichFolder: "Folder of music", whatFor: "To find its songs by",
  forMelody: "humming", forSound: "words and sound", forTracks: "playlists", addIt: "Add it",
  files: (n) => `${n} file${n === 1 ? "" : "s"}`,
  building: (name, step, share) => `${name}: ${step}, ${Math.round(100 * share)} %`,
  buildFailed: (name, why) => `${name} could not be added: ${why}`, built: (name) => `${name} is ready.`,
  steps: { "": "getting ready", indexing: "reading melodies", listening: "listening" }, tracking: "following the melodies",
  preparing: (name) => `${name}: being prepared, once. It can be searched when it is ready.`, noLibrary: "No library is open.",
  hum: "Hum", stop: "Stop", find: "Find",
  humHint: "Press and hum ten seconds. It stops by itself when you are done. Or hold it while you hum.",
  orFile: "or a recording:", wordsLabel: "How should it sound? Tags, or words of titles and artists", tags: "Tags",
  soundHint: "Drop a recording here, or pick one.", soundFile: "What sounds like", soundAt: "from (m:ss, empty for all of it)",
  tracksLabel: "Start from these tracks", tracksType: "title or artist", offered: "Tracks by that name", chosen: "Chosen tracks",
  makePlaylist: "Make a playlist", saveList: "Save as m3u8",
  mapHint: "Songs that sound alike lie together. Arrow keys walk, Enter or a click plays.", mapOf: "Map of the library", likeThis: "More like this",
  "way-hum": "Hum", "way-words": "Words", "way-sound": "Sound", "way-tracks": "Tracks", "way-map": "Map",
  missing: "More ways to search this library", missingHow: "They need parts that its index does not have yet. Add them with:",
  listening: "Listening ...", nothingHeard: "Nothing is heard yet: is the microphone muted?", searching: "Searching ...", drawing: "Drawing the map ...",
  answers: "Answers", found: (title) => `Found: ${title}`, oneOf: "One of these:", best: "Nearest first:", perhaps: (title) => `So far: ${title}`,
  notHere: "Not here. Hum longer, on \"da da\", nearer to the microphone.",
  noMelody: "Not here: no melody is heard. Hum on \"da da\", nearer to the microphone.",
  inPart: (n) => `(${n === 1 ? "One server" : `${n} servers`} did not answer: a part of the songs was not searched.)`,
  place: (from, to) => `${from} to ${to}`,
  key: (n) => n === 0 ? "in its own key" : `you hum ${Math.abs(n)} semitone${Math.abs(n) === 1 ? "" : "s"} ${n > 0 ? "below" : "above"} it`,
  tempo: (r) => Math.abs(r - 1) < 0.05 ? "at its tempo" : r > 1 ? `${r.toFixed(1)} times as slow` : `${(1 / r).toFixed(1)} times as fast`,
  play: (title) => `Play ${title}`, choose: (title) => `Add ${title}`, remove: (title) => `Remove ${title}`, sure: (p) => p > 0.99 ? "over 99 % sure" : `${Math.round(100 * p)} % sure`,
  leftOut: (words) => `Left out: ${words}`, madeList: (n) => `A playlist of ${n} tracks:`, saved: "Saved as playlist.m3u8.",
  tooShort: "Too short: hum for two seconds or more.", silent: "Nothing was heard: is the microphone muted?",
  noMicrophone: "No microphone is there: plug one in, or give a recording.",
  refused: "The microphone was refused: allow it for this page, or give a recording.",
  inUse: "The microphone cannot be used: another program may have it; close it, or give a recording.",
  notSafe: "A microphone needs https, or this page on the machine that runs humfind: give a recording, or open it there.",
  gone: "The server does not answer: is humfind app still running?", noSong: (title) => `${title} cannot be played: its recording is no longer where it was.`,
  lineOf: (title) => `Your hum on the line of ${title}`, melodyOf: "Your melody as you hum", nothing: "Nothing fits.",
  badTime: "A time is minutes and seconds, as 1:30.",
};

export const TEXTS = { en: EN };
export const language = Object.keys(TEXTS).find((one) => navigator.language.startsWith(one)) ?? "en";
export const T = TEXTS[language];

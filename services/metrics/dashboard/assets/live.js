// What happens while one looks: the events of the program, newest first, in words. The numbers stay as they are until
// one asks for them, since a page that changes under the eyes cannot be read.
const WORDS = {
  MentorshipStarted: "A mentorship started",
  MentorshipPaused: "A mentorship was paused",
  MentorshipResumed: "A mentorship goes on",
  MentorshipEnded: "A mentorship ended",
  ExpectationsAgreed: "Expectations were agreed",
  GoalSet: "A goal was set",
  GoalRevised: "A goal was renegotiated",
  GoalMet: "A goal was met",
  GoalMissed: "A goal was missed",
  GoalMissRetracted: "A miss was taken back",
  GoalDropped: "A goal was dropped",
  MissDisputed: "A miss was disputed",
  CheckInLogged: "Somebody checked in",
  CheckInAcknowledged: "A check-in was acknowledged",
  CheckInLapsed: "A check-in lapsed",
};
const MOST = 6;
const section = document.getElementById("live");

function show(name, message) {
  const event = JSON.parse(message.data);
  if (event.data.program_id !== section.dataset.program) return;
  const item = document.createElement("li");
  const when = document.createElement("time");
  when.dateTime = event.time;
  when.textContent = `${event.time.slice(11, 16)} UTC`;
  const link = document.createElement("a");
  link.href = `/mentorships/${encodeURIComponent(event.data.mentorship_id)}`;
  link.textContent = WORDS[name];
  item.append(when, " ", link);
  const list = section.querySelector("ul");
  list.prepend(item);
  while (list.children.length > MOST) list.lastElementChild.remove();
  section.hidden = false;
}

if (section) {
  section.querySelector("p a").href = location.href;
  const source = new EventSource("/live");
  for (const name of Object.keys(WORDS)) source.addEventListener(name, (message) => show(name, message));
}

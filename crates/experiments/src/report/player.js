for (const figure of document.querySelectorAll('figure.animation')) {
  const {labels, paths} = JSON.parse(figure.querySelector('script').textContent);
  // The moving cloud is the last path of dots.
  const dots = [...figure.querySelectorAll('path.d')].pop();
  const [button, slider, label] = ['button', 'input', 'output'].map(s => figure.querySelector(s));
  let timer = null;
  const show = () => {
    dots.setAttribute('d', paths[slider.value]);
    label.textContent = labels[slider.value];
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    button.textContent = '▶';
    button.setAttribute('aria-label', 'play');
  };
  slider.addEventListener('input', () => { stop(); show(); });
  button.addEventListener('click', () => {
    if (timer !== null) return stop();
    if (Number(slider.value) >= paths.length - 1) slider.value = 0;
    show();
    button.textContent = '⏸';
    button.setAttribute('aria-label', 'pause');
    timer = setInterval(() => {
      if (Number(slider.value) >= paths.length - 1) return stop();
      slider.value = Number(slider.value) + 1;
      show();
    }, 100);
  });
}

"""A whole folder into a collection. Gradio's upload forgets where in a folder a file lay, so these go to the API itself."""

from __future__ import annotations

from workbench.services.knowledge import CollectionCard
from workbench.ui.shared.formatting import escape

AT_ONCE = 3  # files on their way at the same time

# A file that is refused (empty, too large) is named at the end and stops nothing; what is hidden is passed over, as by
# `workbench kb add`. A document is called by its path below the folder.
ON_FOLDER = """element.addEventListener('change', async (event) => {
  const input = event.target.closest('input[data-folder]');
  if (!input) return;
  const said = element.querySelector('[data-said]');
  const files = [...input.files].filter((file) => !file.webkitRelativePath.split('/').some((part) => part.startsWith('.')));
  const post = async (method, url, body, headers) => {
    const answer = await fetch(url, { method, body, headers, credentials: 'same-origin' });
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail || `The workbench answered ${answer.status}.`);
    return answer.json();
  };
  const taken = [], refused = [];
  let next = 0, done = 0;
  const worker = async () => {
    while (next < files.length) {
      const file = files[next++], name = file.webkitRelativePath.split('/').slice(1).join('/') || file.name;
      try {
        taken.push({ upload: (await post('PUT', `/uploads/${encodeURIComponent(file.name)}`, file)).id, name });
      } catch (error) { refused.push(`${name}: ${error.message}`); }
      done += 1;
      said.textContent = `Sending ${done} of ${files.length}`;
    }
  };
  input.disabled = true;
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    if (taken.length) {
      const body = JSON.stringify({ collection: input.dataset.folder, files: taken });
      await post('POST', '/mlops/kb/documents', body, { 'content-type': 'application/json' });
    }
  } catch (error) { refused.push(error.message); }
  const more = refused.length > 5 ? ` And ${refused.length - 5} more.` : '';
  said.textContent = refused.slice(0, 5).join(' ') + more || (files.length ? '' : 'The folder holds no files.');
  input.disabled = false;
  input.value = '';
  trigger('submit', { action: 'look', id: '' });
});""".replace("AT_ONCE", str(AT_ONCE))


def folder_html(card: CollectionCard) -> str:
    """The button that asks for a folder; nothing for those who may not write."""
    if not card.may_write:
        return ""
    chosen = f'<input type="file" webkitdirectory multiple data-folder="{escape(card.id)}" aria-label="Add a whole folder">'
    return f'<p class="wb-folder"><label class="wb-link">Add a whole folder{chosen}</label> <span data-said role="status"></span></p>'

import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

export interface ConfirmDialogProps {
  title: string;
  /** The word on the button that confirms. */
  action: string;
  onConfirm(): void;
  onClose(): void;
  children: ComponentChildren;
}

/** A dialog that is open as long as it is drawn. */
export function ConfirmDialog({ title, action, onConfirm, onClose, children }: ConfirmDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby="dialog-title">
      <h2 id="dialog-title">{title}</h2>
      <p>{children}</p>
      <div class="dialog-buttons">
        <button type="button" autofocus onClick={onClose}>Cancel</button>
        <button
          type="button"
          class="danger"
          onClick={() => {
            onClose();
            onConfirm();
          }}
        >
          {action}
        </button>
      </div>
    </dialog>
  );
}

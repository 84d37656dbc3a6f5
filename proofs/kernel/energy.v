(* First facts about rows, directions and angles of a matrix. *)
From Coq Require Import Reals Lra Lia.
From SphereTheory Require Import definitions sums pair sphere.
Open Scope R_scope.

Section Energy.
Variables (n d : nat).
Local Notation unit_row := (unit_row d).
Local Notation D := (D d).
Local Notation theta := (theta d).
Local Notation sound := (sound n d).
Local Notation frobenius := (frobenius n).
Local Notation row_space := (row_space n d).

Lemma frobenius_sq m A : frobenius m A ^ 2 = sum n (fun i => dot m (A i) (A i)).
Proof. simpl. rewrite Rmult_1_r. apply sqrt_sqrt, sum_nonneg; intros; apply dot_nonneg. Qed.

Lemma row_in_space A i : (i < n)%nat -> row_space A (A i).
Proof.
  intros Hi. exists (fun j => if Nat.eq_dec i j then 1 else 0). intros k _.
  rewrite <- (sum_pick n i (fun j => A j k) Hi). apply sum_ext; intros j _. destruct (Nat.eq_dec i j); ring.
Qed.

Lemma frobenius_norms A : frobenius d A = sqrt (sum n (fun i => norm d (A i) * norm d (A i))).
Proof. unfold frobenius. f_equal. apply sum_ext; intros. now rewrite (norm_sq d). Qed.

Lemma unit_row_unit W i : sound W -> (i < n)%nat -> dot d (unit_row W i) (unit_row W i) = 1.
Proof. intros [H _] Hi. apply direction_unit. now apply H. Qed.

Lemma theta_sym W i j : theta W i j = theta W j i.
Proof. apply angle_sym. Qed.

Lemma D_theta W i j : sound W -> (i < n)%nat -> (j < n)%nat -> D W i j = 2 * sin (theta W i j / 2).
Proof. intros HW Hi Hj. apply chord_angle; now apply unit_row_unit. Qed.

Lemma theta_range W i j : sound W -> (i < n)%nat -> (j < n)%nat -> i <> j -> 0 < theta W i j <= PI.
Proof.
  intros HW Hi Hj Hij. apply chord_pos_angle; try now apply unit_row_unit. now apply HW.
Qed.
End Energy.

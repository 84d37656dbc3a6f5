(* First facts about rows, directions and angles of a matrix. *)
From Coq Require Import Reals Lra Lia.
From SphereTheory Require Import definitions sums pair sphere.
Open Scope R_scope.

Section Energy.
Variables (n d : nat) (s : R).
Local Notation unit_row := (unit_row d).
Local Notation D := (D d).
Local Notation theta := (theta d).
Local Notation sound := (sound n d).
Local Notation frobenius := (frobenius n).
Local Notation row_space := (row_space n d).
Local Notation gradient := (gradient n d s).
Local Notation G := (G n d s).

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

Lemma D_sym W i j : D W i j = D W j i.
Proof. unfold definitions.D, chord, norm. f_equal. apply sum_ext; intros; ring. Qed.

Lemma gradient_dot W i v : dot d (gradient W i) v = factor s / norm d (W i) * others n i (fun j =>
  (dot d (unit_row W j) v - dot d (unit_row W i) (unit_row W j) * dot d (unit_row W i) v) *
  Rpower (D W i j) (- s - 2)).
Proof.
  set (p := fun j => Rpower (D W i j) (- s - 2)). set (c := fun j => dot d (unit_row W i) (unit_row W j)).
  transitivity (factor s / norm d (W i) * dot d (fun k => sum n (fun j =>
    if Nat.eq_dec i j then 0 else lin (p j) (unit_row W j) (- c j * p j) (unit_row W i) k)) v).
  - unfold dot at 1 2. rewrite <- sum_scal. apply sum_ext; intros k _. unfold definitions.gradient. fold p c.
    rewrite <- Rmult_assoc. f_equal. f_equal. apply others_ext; intros j _ _. unfold lin, p, c. ring.
  - rewrite dot_sum. f_equal. apply sum_ext; intros j _. destruct (Nat.eq_dec i j).
    + rewrite dot_sym. apply dot_zero_r.
    + change (fun k => lin (p j) (unit_row W j) (- c j * p j) (unit_row W i) k)
        with (lin (p j) (unit_row W j) (- c j * p j) (unit_row W i)). rewrite dot_lin_l. fold (c j) (p j).
        ring.
Qed.

Lemma G_dot W i v : dot d (G W i) v = norm d (W i) * dot d (gradient W i) v.
Proof. unfold dot. rewrite <- sum_scal. apply sum_ext; intros. unfold definitions.G. ring. Qed.
End Energy.

(* B8: a change of the energy bounds the change of the weights, and of the outputs, whatever the edit. *)
From Coq Require Import Reals Lra Lia.
From SphereTheory Require Import definitions sums pair sphere energy.
Open Scope R_scope.

Section Unconditional.
Variables (n d : nat) (s : R).
Local Notation unit_row := (unit_row d).
Local Notation theta := (theta d).
Local Notation delta := (delta d).
Local Notation HE := (HE n d s).
Local Notation sound := (sound n d).
Local Notation frobenius := (frobenius n).
Local Notation seen := (seen d).
Local Notation times := (times d).
Local Notation row_space := (row_space n d).
Local Notation pull := (pull n d s).
Local Notation higher := (higher n d s).
Local Notation K := (K n d s).

Hypothesis s_nonneg : 0 <= s.

(* ---------- 1. the energy rises by no more than the angles after it pull over the arcs ---------- *)

Definition turn (W V : matrix) (i : nat) : R := angle d (unit_row W i) (unit_row V i).

Lemma pull_nonneg W i : sound W -> (i < n)%nat -> 0 <= pull W i.
Proof. intros HW Hi. apply others_nonneg; intros j Hj Hij. apply h_nonneg. now apply (theta_range n d). Qed.

Lemma rise W V : sound W -> sound V ->
  HE V - HE W <= sum n (fun i => factor s * (1 - exp (- turn W V i)) * pull V i).
Proof.
  intros HW HV. unfold HE. rewrite <- sum_minus.
  set (a := fun i j => factor s / 2 * h s (theta V i j)).
  apply Rle_trans with (sum n (fun i => others n i (fun j =>
    a i j * ((1 - exp (- turn W V i)) + (1 - exp (- turn W V j)))))).
  - apply sum_le; intros i Hi. rewrite <- others_minus. apply others_le; intros j Hj Hij.
    rewrite (D_theta n d W i j), (D_theta n d V i j) by assumption. unfold a.
    apply pair_rise; try apply angle_bound; [ exact s_nonneg | now apply (theta_range n d)
      | now apply (theta_range n d) | ].
    apply angle_moves; now apply (unit_row_unit n).
  - right. rewrite sum_pairs by (intros; unfold a; now rewrite theta_sym).
    apply sum_ext; intros i _. unfold a, pull. rewrite others_scal. field.
Qed.

Lemma rise_angles W V : sound W -> sound V ->
  HE V - HE W <= sum n (fun i => factor s * turn W V i * pull V i).
Proof.
  intros HW HV. eapply Rle_trans; [ now apply rise | ]. apply sum_le; intros i Hi.
  pose proof (factor_pos s s_nonneg). apply Rmult_le_compat_r; [ now apply pull_nonneg | ].
  apply Rmult_le_compat_l; [ lra | apply one_minus_exp ].
Qed.

Lemma turn_sym W V i : turn W V i = turn V W i.
Proof. apply angle_sym. Qed.

Lemma higher_sound W Delta : sound W -> sound (plus W Delta) -> sound (higher W Delta).
Proof. unfold higher. now destruct (Rle_dec _ _). Qed.

(* ---------- 2. the theorem ---------- *)

(* sharper than the ledger's line: an arc δ counts as 1 − e^(−δ) ≤ δ *)
Theorem B8_sharper (W Delta : matrix) : sound W -> sound (plus W Delta) ->
  Rabs (HE (plus W Delta) - HE W) <=
    sum n (fun i => factor s * (1 - exp (- delta W Delta i)) * pull (higher W Delta) i).
Proof.
  intros HW HV. unfold higher. destruct (Rle_dec _ _) as [H | H].
  - rewrite Rabs_right by lra. now apply rise.
  - rewrite Rabs_left by lra. rewrite Ropp_minus_distr.
    eapply Rle_trans; [ now apply (rise (plus W Delta) W) | right ].
    apply sum_ext; intros i _. now rewrite turn_sym.
Qed.

(* both signs: the pulls before and after the edit *)
Theorem B8_two_sided (W Delta : matrix) : sound W -> sound (plus W Delta) ->
  - sum n (fun i => factor s * delta W Delta i * pull W i)
    <= HE (plus W Delta) - HE W <=
  sum n (fun i => factor s * delta W Delta i * pull (plus W Delta) i).
Proof.
  intros HW HV. split; [ | now apply rise_angles ].
  pose proof (rise_angles (plus W Delta) W HV HW) as H.
  rewrite (sum_ext n _ (fun i => factor s * delta W Delta i * pull W i)) in H; [ lra | ].
  intros i _. now rewrite turn_sym.
Qed.

(* |ΔHE| ≤ Σ_i f δ_i Σ_{j≠i} h(θ*_ij) *)
Theorem B8_angles (W Delta : matrix) : sound W -> sound (plus W Delta) ->
  Rabs (HE (plus W Delta) - HE W) <=
    sum n (fun i => factor s * delta W Delta i * pull (higher W Delta) i).
Proof.
  intros HW HV. eapply Rle_trans; [ now apply B8_sharper | ]. apply sum_le; intros i Hi.
  pose proof (factor_pos s s_nonneg).
  apply Rmult_le_compat_r; [ apply pull_nonneg; [ now apply higher_sound | exact Hi ] | ].
  apply Rmult_le_compat_l; [ lra | apply one_minus_exp ].
Qed.

(* |ΔHE| ≤ K* ‖ΔW‖_F *)
Theorem B8_constant (W Delta : matrix) : sound W -> sound (plus W Delta) ->
  Rabs (HE (plus W Delta) - HE W) <= K W Delta * frobenius d Delta.
Proof.
  intros HW HV. eapply Rle_trans; [ now apply B8_sharper | ].
  set (k := fun i => factor s / Rmax (norm d (W i)) (norm d (plus W Delta i)) * pull (higher W Delta) i).
  apply Rle_trans with (sum n (fun i => k i * norm d (Delta i))).
  - apply sum_le; intros i Hi. unfold k.
    pose proof (proj1 HW i Hi) as Hw. pose proof (proj1 HV i Hi) as Hv. pose proof (factor_pos s s_nonneg).
    pose proof (arc d (W i) (plus W Delta i) Hw Hv) as A.
    assert (E : norm d (fun k => plus W Delta i k - W i k) = norm d (Delta i)).
    { unfold norm. f_equal. apply dot_ext; intros; unfold plus; ring. }
    rewrite E in A. fold (unit_row W i) (unit_row (plus W Delta) i) in A. fold (delta W Delta i) in A.
    set (rho := Rmax (norm d (W i)) (norm d (plus W Delta i))) in *.
    assert (0 < rho) by (unfold rho; eapply Rlt_le_trans; [ exact Hw | apply Rmax_l ]).
    pose proof (pull_nonneg _ i (higher_sound W Delta HW HV) Hi) as Hp.
    replace (factor s * (1 - exp (- delta W Delta i)) * pull (higher W Delta) i)
      with (factor s / rho * pull (higher W Delta) i * ((1 - exp (- delta W Delta i)) * rho)) by (field; lra).
    apply Rmult_le_compat_l; [ | exact A ].
    apply Rmult_le_pos; [ apply Rlt_le, Rdiv_lt_0_compat; lra | exact Hp ].
  - rewrite frobenius_norms. unfold K. fold k.
    rewrite (sum_ext n (fun i => _ ^ 2) (fun i => k i * k i)) by (intros; unfold k; ring).
    apply cauchy_schwarz_sqrt.
Qed.

(* σ² (ΔHE)² ≤ K*² ‖ΔW X‖_F², where X sees the rows of ΔW; of no other vector is anything asked *)
Theorem B8_outputs_rows (W Delta : matrix) (m : nat) (X : matrix) (sigma : R) :
  sound W -> sound (plus W Delta) ->
  (forall i, (i < n)%nat -> sigma ^ 2 * norm d (Delta i) ^ 2 <= norm m (seen X (Delta i)) ^ 2) ->
  sigma ^ 2 * (HE (plus W Delta) - HE W) ^ 2 <= K W Delta ^ 2 * frobenius m (times Delta X) ^ 2.
Proof.
  intros HW HV HX. pose proof (B8_constant W Delta HW HV) as B.
  set (x := HE (plus W Delta) - HE W) in *.
  assert (Q : x ^ 2 <= K W Delta ^ 2 * frobenius d Delta ^ 2).
  { rewrite <- (pow2_abs x), <- Rpow_mult_distr. apply pow_incr. split; [ apply Rabs_pos | exact B ]. }
  assert (F : sigma ^ 2 * frobenius d Delta ^ 2 <= frobenius m (times Delta X) ^ 2).
  { rewrite !frobenius_sq, <- sum_scal. apply sum_le; intros i Hi. rewrite <- !norm_sq.
    pose proof (HX i Hi) as H. simpl in H. rewrite !Rmult_1_r in H. simpl. rewrite Rmult_1_r. exact H. }
  apply Rle_trans with (sigma ^ 2 * (K W Delta ^ 2 * frobenius d Delta ^ 2)).
  - apply Rmult_le_compat_l; [ apply pow2_ge_0 | exact Q ].
  - replace (sigma ^ 2 * (K W Delta ^ 2 * frobenius d Delta ^ 2))
      with (K W Delta ^ 2 * (sigma ^ 2 * frobenius d Delta ^ 2)) by ring.
    apply Rmult_le_compat_l; [ apply pow2_ge_0 | exact F ].
Qed.

(* ‖ΔW X‖_F² ≥ σ² (ΔHE)²/K*², with X Xᵀ ⪰ σ² I on the row space of ΔW; where K* = 0, ΔHE = 0 *)
Theorem B8_outputs (W Delta : matrix) (m : nat) (X : matrix) (sigma : R) :
  sound W -> sound (plus W Delta) ->
  (forall v, row_space Delta v -> sigma ^ 2 * norm d v ^ 2 <= norm m (seen X v) ^ 2) ->
  sigma ^ 2 * ((HE (plus W Delta) - HE W) / K W Delta) ^ 2 <= frobenius m (times Delta X) ^ 2.
Proof.
  intros HW HV HX. pose proof (B8_constant W Delta HW HV) as B.
  assert (R : sigma ^ 2 * (HE (plus W Delta) - HE W) ^ 2 <=
              K W Delta ^ 2 * frobenius m (times Delta X) ^ 2).
  { apply B8_outputs_rows; try assumption. intros i Hi. now apply HX, row_in_space. }
  set (x := HE (plus W Delta) - HE W) in *.
  assert (HK : 0 <= K W Delta) by apply sqrt_pos. destruct HK as [HK | HK].
  - apply (Rmult_le_reg_l (K W Delta ^ 2)); [ now apply pow_lt | ].
    replace (K W Delta ^ 2 * (sigma ^ 2 * (x / K W Delta) ^ 2))
      with (sigma ^ 2 * x ^ 2) by (field; lra). exact R.
  - (* K = 0: the energy does not change *)
    rewrite <- HK, Rmult_0_l in B. pose proof (Rabs_pos x).
    assert (Z : x = 0) by (destruct (Req_dec x 0) as [Z | Z]; [ exact Z | apply Rabs_pos_lt in Z; lra ]).
    rewrite Z. unfold Rdiv. rewrite Rmult_0_l. simpl. rewrite !Rmult_0_l, Rmult_0_r. rewrite Rmult_1_r.
    apply Rle_0_sqr.
Qed.
End Unconditional.
